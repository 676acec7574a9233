#include "lifecycle/tasks.hpp"

#include "base/log.hpp"

namespace alcove {

void Tasks::spawn(Awaitable<void> task) {
  ++running_;
  launch(executor_, std::move(task), [this](const std::exception_ptr& thrown) { finished(thrown); });
}

Awaitable<void> Tasks::all_done() {
  while (running_ > 0) co_await changed_.wait();
}

void Tasks::finished(const std::exception_ptr& thrown) {
  if (thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      spdlog::error("a defect in alcove: a task of the lifecycle threw: {}", e.what());
    }
  }
  --running_;
  changed_.notify();
}

Awaitable<void> Pauses::pause(Millis duration) {
  if (ended_) co_return;
  Timer timer(executor_, duration);
  timers_.insert(&timer);
  co_await timer.async_wait(kTuple);
  timers_.erase(&timer);
}

void Pauses::end() {
  ended_ = true;
  for (Timer* timer : timers_) timer->cancel();
}

}  // namespace alcove
