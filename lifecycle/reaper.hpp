// Reaper: ends sessions whose time has come: ready -> draining -> stopping -> absent, each step the store's
// decision. Called by: alcove/ (run, stop, reload), the store's pushes. Calls: store, runtime (stop). Thread:
// the control thread; store and runtime are of the same io_context. Owns: a coroutine per session that it
// works on, at most kStopsAtOnce of them in Runtime::stop. Fails: never by itself. What could not be done now
// is still due, and is tried again at the next look.
//
// Several reapers may run: each step is one atomic step of the store, the loser gets Errc::stale and looks
// away.
#pragma once

#include "base/event.hpp"
#include "config/settings.hpp"
#include "lifecycle/metrics.hpp"
#include "lifecycle/runtime.hpp"
#include "lifecycle/tasks.hpp"
#include "store/store.hpp"

#include <memory>
#include <unordered_map>
#include <unordered_set>

namespace alcove {

class Reaper : public Subscriber {
 public:
  static constexpr std::size_t kStopsAtOnce = 64;

  Reaper(Executor executor, Store& store, Runtime& runtime, SettingsPtr settings,
         std::shared_ptr<LifecycleMetrics> metrics);
  ~Reaper() override;

  Awaitable<void> run();  // until stop(); returns when the stops under way are done
  void stop();
  void reload(SettingsPtr settings) { settings_ = std::move(settings); }
  void look_now();  // asks the store at once

  void on_transition(const Transition& transition) override;
  void on_gap() override;

 private:
  Awaitable<bool> look();
  Awaitable<void> settle_due(Session session);
  Awaitable<void> settle_pressing(SessionKey key);
  Awaitable<void> drain(Session session, EndCause cause);
  Awaitable<void> end_drained(Session session);
  Awaitable<void> end_pod(Session session);
  Awaitable<void> take_slot();
  void free_slot();

  Store& store_;
  Runtime& runtime_;
  SettingsPtr settings_;
  std::shared_ptr<LifecycleMetrics> metrics_;
  Tasks tasks_;
  Event wake_;       // look again
  Event slot_free_;  // a stop has ended
  Pauses pauses_;
  std::unordered_set<SessionKey> at_work_;
  std::unordered_map<SessionKey, Generation> draining_;  // seen to drain, for counting rescues
  std::size_t slots_ = 0;
  std::size_t stopping_now_ = 0;
  bool look_ = true;
  bool stopping_ = false;
};

}  // namespace alcove
