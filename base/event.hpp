// Event: something that coroutines of one thread wait for. notify() wakes all who wait now; a waiter looks at
// the state that it waits for, before and after: the event carries none. Thread: one io_context. Whoever owns
// the event outlives its waiters.
#pragma once

#include "base/net.hpp"
#include "base/time.hpp"

namespace alcove {

class Event {
 public:
  explicit Event(Executor executor) : timer_(executor, SteadyTime::max()) {}

  // True: notified. False: `deadline` came first. Only one deadline at a time: with several waiters all pass
  // the same.
  Awaitable<bool> wait_until(SteadyTime deadline) {
    if (timer_.expiry() != deadline) timer_.expires_at(deadline);
    auto [ec] = co_await timer_.async_wait(kTuple);
    co_return ec == asio::error::operation_aborted;
  }
  Awaitable<bool> wait() { return wait_until(SteadyTime::max()); }
  void notify() { timer_.cancel(); }

 private:
  Timer timer_;
};

}  // namespace alcove
