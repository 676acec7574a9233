// Signal: like base's Event, but each waiter has a deadline of its own. Thread: one io_context. Whoever owns
// it outlives its waiters.
#pragma once

#include "base/net.hpp"
#include "base/time.hpp"

#include <unordered_set>

namespace alcove::k8s {

class Signal {
 public:
  explicit Signal(Executor executor) : executor_(executor) {}

  // True: notified. False: the deadline came first.
  Awaitable<bool> wait_until(SteadyTime deadline) {
    Timer timer(executor_, deadline);
    waiters_.insert(&timer);
    auto [ec] = co_await timer.async_wait(kTuple);
    waiters_.erase(&timer);
    co_return ec == asio::error::operation_aborted;
  }
  void notify() {
    for (Timer* timer : waiters_) timer->cancel();
  }

 private:
  Executor executor_;
  std::unordered_set<Timer*> waiters_;  // each in the frame of a wait_until()
};

}  // namespace alcove::k8s
