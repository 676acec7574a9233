#include "proxy/resolver.hpp"

namespace alcove::proxy {

Resolver::Resolver(Store& store, RouteCache& routes, WaitingRooms& rooms, Activity& activity,
                   WorkerMetrics& metrics)
    : store_(store), routes_(routes), rooms_(rooms), activity_(activity), metrics_(metrics) {
  store_.subscribe(this);
}
Resolver::~Resolver() {
  store_.unsubscribe(this);
}

CachedRoute* Resolver::known(std::string_view key, SteadyTime now) {
  CachedRoute* route = activity_.lease_runs(now) ? routes_.find(key) : nullptr;
  if (route != nullptr) {
    metrics_.route_cache_hits.add();
  } else {
    metrics_.route_cache_misses.add();
  }
  return route;
}

void Resolver::suspect(const CachedRoute& route) {
  routes_.drop(route.key(), route.generation);
}

// Pushes only ever take routes away; new ones come with the store's answers (hold.hpp says why).
void Resolver::on_transition(const Transition& transition) {
  // A route of this generation was ready when it was learnt: a push of what comes before that is only late.
  const bool begins = transition.state == State::pending || transition.state == State::starting ||
                      transition.state == State::ready;
  if (begins) {
    if (transition.generation > 0) routes_.drop(transition.key.text(), transition.generation - 1);
  } else if (const RoutePtr dropped = routes_.drop(transition.key.text(), transition.generation);
             dropped != nullptr && transition.state == State::draining &&
             (dropped->in_flight > 0 || dropped->marked)) {
    activity_.hurry();
  }
  rooms_.on_transition(transition);
  metrics_.route_cache_size.set(routes_.size());
}

void Resolver::on_gap() {
  metrics_.push_gaps.add();
  routes_.clear();
  metrics_.route_cache_size.set(0);
  rooms_.on_gap();
}

}  // namespace alcove::proxy
