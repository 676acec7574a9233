// The local runtime of the process that starts the pods (LocalMode::owner): addresses, working directories,
// records, readiness; the processes themselves are the guard's. Called by: provisioner, reaper through the
// Runtime interface; made by make_local_runtime. Thread: the control thread. Owns: the guard's link and one
// LocalPod per pod from start() until nothing of it is left. Fails as Runtime says. Destroy it after
// shut_down(), or when its io_context runs no more.
//
// A pod leaves the table only when the guard has said that nothing of it is left, or the guard itself has
// died and every process with its mark was killed: so list() never lacks a pod whose process still runs.
#pragma once

#include "base/backoff.hpp"
#include "base/event.hpp"
#include "lifecycle/runtime.hpp"
#include "lifecycle/tasks.hpp"
#include "local/addresses.hpp"
#include "local/guard_link.hpp"
#include "local/listeners.hpp"
#include "local/ready_check.hpp"
#include "local/state_dir.hpp"

#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

namespace alcove {

class LocalOwner final : public Runtime {
 public:
  // Throws std::runtime_error if the guard cannot be started. `dir` is locked and clean.
  LocalOwner(asio::io_context& context, std::unique_ptr<StateDir> dir, AddressPool addresses);
  ~LocalOwner() override;

  Awaitable<Result<Pod>> start(PodSpec spec) override;
  Awaitable<Result<void>> stop(PodName name, Millis grace) override;
  Awaitable<Result<std::vector<Pod>>> list() override;
  void on_exit(std::function<void(const PodExit&)> handler) override { on_exit_ = std::move(handler); }
  Awaitable<Result<LogChunk>> logs(LogRequest request) override;
  bool sees(const Session& session) const override { return dir_->is_ours(session.pod_uid); }
  Awaitable<void> shut_down() override;

  pid_t guard_pid() const { return guard_ ? guard_->pid() : 0; }

 private:
  struct LocalPod {
    explicit LocalPod(Executor executor) : changed(executor) {}
    std::uint64_t id = 0;  // among the guard's
    PodRecord record;
    Millis stop_grace{0};
    bool has_address = false;
    bool asked_guard = false;  // a process may exist
    bool answered = false;     // started or refused
    bool settled = false;      // start() has its result
    bool stopping = false;     // stop() was called, or the start has failed: its end is no news
    bool gone = false;         // nothing is left
    std::string ended;         // why it ended, for people
    std::optional<Error> start_error;
    std::shared_ptr<ReadyCheck> check;
    Event changed;
  };
  using PodPtr = std::shared_ptr<LocalPod>;

  void start_guard();
  Awaitable<Result<void>> launch(PodPtr pod, PodSpec spec);
  Awaitable<void> end(PodPtr pod, Millis grace);
  Awaitable<void> guard_died();
  void on_message(const GuardMessage& message);
  void on_ended(PodPtr pod, const std::string& how, std::uint64_t dropped);
  void forget(const PodPtr& pod);
  PodPtr find(const PodName& name) const;

  asio::io_context& context_;
  Executor executor_;
  std::unique_ptr<StateDir> dir_;
  AddressPool addresses_;
  std::unique_ptr<Listeners> listeners_;  // null: the kernel does not tell
  std::string boot_id_;
  std::shared_ptr<GuardLink> guard_;
  std::function<void(const PodExit&)> on_exit_;
  Tasks tasks_;
  std::map<std::pair<SessionKey, Generation>, PodPtr> pods_;
  std::unordered_map<std::uint64_t, PodPtr> by_id_;
  std::uint64_t next_id_ = 16;  // below: the guard's own
  SteadyTime guard_since_{};
  Backoff guard_backoff_{Millis{50}, Millis{5'000}};
  bool shutting_down_ = false;
};

// Shared by both modes: reads the kept output. `runs`: the pod is there, so more may come.
Result<LogChunk> read_pod_log(const StateDir& dir, const LogRequest& request, bool runs);

}  // namespace alcove
