// The local runtime of another process on the same machine (LocalMode::guest), such as a reaper: it stops and
// lists pods and reads their logs through the state directory, and cannot start any. Called by: reaper
// through the Runtime interface; made by make_local_runtime. Thread: the control thread. Owns nothing but its
// view. The owner's guard sees the end of a process that is stopped here and tidies up after it. Fails as
// Runtime says; Errc::timeout if what it stopped is not gone after its grace and some seconds.
#pragma once

#include "lifecycle/runtime.hpp"
#include "local/state_dir.hpp"

#include <memory>

namespace alcove {

class LocalGuest final : public Runtime {
 public:
  LocalGuest(Executor executor, std::unique_ptr<StateDir> dir);

  Awaitable<Result<Pod>> start(PodSpec spec) override;
  Awaitable<Result<void>> stop(PodName name, Millis grace) override;
  Awaitable<Result<std::vector<Pod>>> list() override;
  void on_exit(std::function<void(const PodExit&)>) override {}  // the owner hears of it
  Awaitable<Result<LogChunk>> logs(LogRequest request) override;
  bool sees(const Session& session) const override { return dir_->is_ours(session.pod_uid); }
  Awaitable<void> shut_down() override;

 private:
  Awaitable<void> end_process(PodRecord record, Millis grace);
  Awaitable<void> pause(Millis duration);

  Executor executor_;
  std::unique_ptr<StateDir> dir_;
};

}  // namespace alcove
