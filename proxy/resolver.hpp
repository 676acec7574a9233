// Resolver: keeps this worker's picture of the sessions right. It is the store's subscriber: pushes change
// the route cache and the waiting rooms, and nothing else does. Step 5 of the way of a request. Called by
// exchange (known, suspect) and by the store (pushes). Thread: the worker's.
#pragma once

#include "proxy/activity.hpp"
#include "proxy/hold.hpp"
#include "proxy/metrics.hpp"
#include "proxy/route_cache.hpp"
#include "store/store.hpp"

namespace alcove::proxy {

class Resolver final : public Subscriber {
 public:
  Resolver(Store& store, RouteCache& routes, WaitingRooms& rooms, Activity& activity, WorkerMetrics& metrics);
  ~Resolver() override;

  // The route of a session, if it may be used without asking the store; else nullptr: take a seat in the
  // waiting room.
  CachedRoute* known(std::string_view key, SteadyTime now);
  // A dial failed: look again before the route is used by anybody else.
  void suspect(const CachedRoute& route);

  void on_transition(const Transition& transition) override;
  void on_gap() override;

 private:
  Store& store_;
  RouteCache& routes_;
  WaitingRooms& rooms_;
  Activity& activity_;
  WorkerMetrics& metrics_;
};

}  // namespace alcove::proxy
