// Tasks and Pauses: coroutines that one object starts on the side, counted, so that it can wait for the last
// of them, and the waits inside them that its end cuts short. Called by: provisioner, reaper, reconciler.
// Thread: one io_context. The owner outlives all_done(). Fails: a coroutine that throws is a defect; it is
// logged and counted as done.
#pragma once

#include "base/event.hpp"

#include <cstddef>
#include <exception>
#include <unordered_set>

namespace alcove {

class Tasks {
 public:
  explicit Tasks(Executor executor) : executor_(executor), changed_(executor) {}

  void spawn(Awaitable<void> task);
  std::size_t running() const { return running_; }
  Awaitable<void> all_done();

 private:
  void finished(const std::exception_ptr& thrown);

  Executor executor_;
  Event changed_;
  std::size_t running_ = 0;
};

// Pauses that end early, all at once, when their owner stops.
class Pauses {
 public:
  explicit Pauses(Executor executor) : executor_(executor) {}

  Awaitable<void> pause(Millis duration);  // returns at once after end()
  void end();

 private:
  Executor executor_;
  std::unordered_set<Timer*> timers_;  // each in the frame of a pause()
  bool ended_ = false;
};

}  // namespace alcove
