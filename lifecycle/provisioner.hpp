// Provisioner: claims starts from the store's queue, has the runtime start the pods, and publishes how it
// went. Called by: alcove/ (run, stop, reload), the store's pushes. Calls: store, runtime. Thread: the
// control thread; store and runtime are of the same io_context. Owns: one coroutine per start in progress.
// `starting()` tells the reconciler which sessions it must not judge. Fails: never by itself. The store away:
// results are kept and published when it is back.
//
// Races and who wins: every publish names its generation, so whoever comes late gets Errc::stale and removes
// its own pod. A start whose session is ended meanwhile (a push, or renew() says that the claim is lost) is
// cancelled through Runtime::stop, which makes Runtime::start return. A pod that dies between its start and
// its publishing is published first and reported lost afterwards, in this order. A start that another
// provisioner has taken over goes on: where both see the same pods its pod is the other's too, and must not
// be stopped by name (tests/model/start.pml has these races in full).
#pragma once

#include "base/event.hpp"
#include "config/settings.hpp"
#include "lifecycle/metrics.hpp"
#include "lifecycle/runtime.hpp"
#include "lifecycle/tasks.hpp"
#include "store/store.hpp"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace alcove {

class Provisioner : public Subscriber {
 public:
  Provisioner(Executor executor, Store& store, Runtime& runtime, SettingsPtr settings,
              std::shared_ptr<LifecycleMetrics> metrics);
  ~Provisioner() override;

  // Works until stop(); returns when no start is in progress any more. Starts that stop() cuts short are
  // given back to the queue for another provisioner.
  Awaitable<void> run();
  void stop();
  void reload(SettingsPtr settings) { settings_ = std::move(settings); }

  // After run(), when the process ends: ends the pods that would not outlive it and tells the store that they
  // are gone, so that gateways and other provisioners need not find out. Calls Runtime::shut_down.
  Awaitable<void> hand_back();

  // For the reconciler: from the first call on no start is claimed between a gap in the pushes and the round
  // that follows it. A store that was emptied meanwhile gets its records back from the pods first; else who
  // comes in that moment would get a second pod.
  void wait_for_reconciler();
  void reconciled();

  bool starting(const SessionKey& key) const { return starts_.contains(key); }
  std::size_t starts_in_progress() const { return starts_.size(); }
  const std::string& id() const { return id_; }

  void on_transition(const Transition& transition) override;
  void on_gap() override;

 private:
  struct Start {
    Session session;
    bool cancelled = false;  // the session was ended, or we are stopping: the result is not wanted
    bool settling =
        false;  // the runtime has answered, the store is being told: its answer decides from here on
    std::optional<PodExit> exit;  // the pod ended before its start was settled
  };
  using StartPtr = std::shared_ptr<Start>;

  bool may_claim() const { return !reserve_ && !unreconciled_ && !stopping_; }
  Awaitable<bool> reserve_held();
  Awaitable<void> claim_all();
  Awaitable<void> renew_claims();
  Awaitable<void> start_one(StartPtr start);
  Awaitable<void> settle_ready(StartPtr start, Pod pod);
  Awaitable<void> settle_failed(StartPtr start, std::string reason);
  Awaitable<void> settle_cancelled(StartPtr start);
  Awaitable<void> remove_unwanted(StartPtr start, Pod pod);
  Awaitable<void> claim_lost(StartPtr start);
  Awaitable<void> cancel_start(StartPtr start, std::string why);
  Awaitable<void> report_lost(PodExit exit);
  void on_exit(const PodExit& exit);

  Executor executor_;
  Store& store_;
  Runtime& runtime_;
  SettingsPtr settings_;
  std::shared_ptr<LifecycleMetrics> metrics_;
  std::string id_;  // unique per process life
  Tasks tasks_;
  Event wake_;  // claim again
  Pauses pauses_;
  std::unordered_map<SessionKey, StartPtr> starts_;
  bool look_ = true;     // something may be queued
  bool reserve_ = true;  // Runtime::adopted must hear of the pods of the store before the next claim
  bool has_reconciler_ = false;
  bool unreconciled_ = false;  // a round of the reconciler must come before the next claim
  bool stopping_ = false;
};

}  // namespace alcove
