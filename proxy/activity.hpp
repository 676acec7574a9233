// Activity: which sessions this worker serves and when they were last used, told to the store once per
// activity_interval in one beat, which is also the worker's heartbeat and its acknowledgement of drains.
// Of a session that goes on being used it tells again after a sixtieth of its idle timeout, at most 10 s;
// with the next beat when its route leaves the cache or it drains. Step 9 of the way of a request. Thread:
// the worker's.
//
// Why eviction is safe (docs/architecture.md): a route is used only while the lease runs, which every
// answered beat renews from the moment it was sent; a beat says which drains its sender has followed
// (`seen`), and carries every use of these sessions' routes before it. So a drain that all beats have
// acknowledged without a mark is of a session that nobody can reach.
#pragma once

#include "base/event.hpp"
#include "config/settings.hpp"
#include "proxy/metrics.hpp"
#include "proxy/route_cache.hpp"
#include "store/store.hpp"

#include <string>
#include <vector>

namespace alcove::proxy {

class Activity {
 public:
  Activity(Executor executor, Store& store, RouteCache& routes, WorkerMetrics& metrics, std::string gateway);

  // A use at `now`. Cheap: two stores and, the first time since it was told, a push_back.
  void mark(CachedRoute& route, ActivityKind kind, SteadyTime now) {
    route.last_activity = now;
    route.kind = kind;
    if (!route.marked) enlist(route);
  }
  // An exchange that is activity for as long as it lasts.
  void begin(CachedRoute& route, SteadyTime now) {
    ++route.in_flight;
    mark(route, ActivityKind::request, now);
  }
  void end(CachedRoute& route, SteadyTime now) {
    --route.in_flight;
    mark(route, ActivityKind::request, now);
  }

  // The pod says that it is busy for so long, whatever is seen of it; zero: no longer.
  void busy(CachedRoute& route, Millis busy_for, SteadyTime now) {
    route.busy_for = busy_for;
    mark(route, ActivityKind::request, now);
  }

  // May routes be used without asking the store?
  bool lease_runs(SteadyTime now) const { return now < lease_until_; }
  // Sends the next beat at once: a drained session is in use here.
  void hurry() { beat_by(SteadyTime::min()); }
  // Sends it soon: a session is in use here whose route has left the cache, perhaps because it drains.
  void hurry_a_little() { beat_by(began_ + kRescuePace); }

  // Beats until stop(). Then tells the store that this worker leaves.
  Awaitable<void> run(SettingsPtr settings);
  void reload(SettingsPtr settings) { settings_ = std::move(settings); }
  void stop();

 private:
  static constexpr Millis kRescuePace{20};

  void enlist(CachedRoute& route);
  Awaitable<bool> beat_once();
  struct Told {
    std::vector<RoutePtr> routes;
    std::vector<Beat::Mark> marks;  // of each of them
  };
  Told collect_marks(SteadyTime now);
  void tell_of(const std::vector<std::pair<SessionKey, Generation>>& draining);
  void beat_by(SteadyTime then);

  Store& store_;
  RouteCache& routes_;
  WorkerMetrics& metrics_;
  std::string gateway_;
  SettingsPtr settings_;
  Event wake_;
  std::vector<RoutePtr> marked_;  // in flight, or used since they were told
  std::uint64_t seen_ = 0;
  SteadyTime lease_until_{};
  std::uint32_t told_ = 0;
  SteadyTime began_{};    // the last beat
  SteadyTime beat_at_{};  // the next one
  bool stopping_ = false;
};

}  // namespace alcove::proxy
