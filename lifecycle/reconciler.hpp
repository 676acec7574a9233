// Reconciler: compares the pods that the runtime has with the records that the store has, at start, after a
// gap in the pushes, and every kInterval, and repairs what a crash or a wiped store left apart. Part of the
// provisioner role. Called by: alcove/ (run, stop, reload), the store's pushes (gaps). Calls: store, runtime,
// provisioner (starting, reconciled). Thread: the control thread, like the provisioner whose starts it must
// not judge. Fails: never by itself; a round that cannot ask the store is given up and tried again a second
// later.
//
// What it may judge:
//   - A session whose start is in progress here is left alone: its pod is neither an orphan nor lost.
//   - Records are read before pods. So a record that says ready names a pod that was there before we looked,
//   and if
//     the runtime does not have it, it is gone. Pods without a matching record are looked up again after the
//     list, and again before they are removed.
//   - Of several pods of a session whose record was lost the newest is adopted.
//   - A record is called lost only if Runtime::sees() it: other provisioners' local pods are theirs to judge.
#pragma once

#include "base/event.hpp"
#include "config/settings.hpp"
#include "lifecycle/metrics.hpp"
#include "lifecycle/provisioner.hpp"
#include "lifecycle/runtime.hpp"
#include "store/store.hpp"

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace alcove {

// What one pod of the runtime is, given its record. Pure.
enum class PodVerdict : std::uint8_t {
  fine,     // its record knows it, or a start of it is under way
  adopt,    // ready, and its record was lost, or begun anew since
  orphan,   // no record will ever know it: removed after the grace
  outlived  // its session has a newer pod: removed at once
};
PodVerdict judge(const Pod& pod, const Session& record);

class Reconciler : public Subscriber {
 public:
  static constexpr Millis kInterval{30'000};

  Reconciler(Executor executor, Store& store, Runtime& runtime, Provisioner& provisioner,
             SettingsPtr settings, std::shared_ptr<LifecycleMetrics> metrics);
  ~Reconciler() override;

  Awaitable<void> run();  // until stop()
  void stop();
  void reload(SettingsPtr settings) { settings_ = std::move(settings); }
  Awaitable<Result<void>> round();  // one comparison; run() calls it

  void on_transition(const Transition&) override {}
  void on_gap() override;

 private:
  Awaitable<Result<std::vector<Session>>> all_records();
  Awaitable<Result<void>> settle_pod(Pod pod, std::unordered_set<std::string>& orphans_now);
  Awaitable<Result<bool>> adopt(Pod pod);
  Awaitable<Result<void>> remove(Pod pod, std::string why);
  Awaitable<Result<void>> settle_missing(Session record);

  Store& store_;
  Runtime& runtime_;
  Provisioner& provisioner_;
  SettingsPtr settings_;
  std::shared_ptr<LifecycleMetrics> metrics_;
  Event wake_;
  std::unordered_map<std::string, SteadyTime> orphans_;  // by pod UID: since when
  bool again_ = true;
  bool unsettled_ = false;  // a pod that has to be adopted waits for a start of its session to end here
  bool stopping_ = false;
};

}  // namespace alcove
