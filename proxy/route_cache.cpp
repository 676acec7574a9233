#include "proxy/route_cache.hpp"

#include "proxy/pod_pool.hpp"

namespace alcove::proxy {

CachedRoute::CachedRoute(SessionKey k, Generation g, Endpoint e, std::string uid)
    : key(std::move(k)), pod_uid(std::move(uid)), generation(g), endpoint(std::move(e)) {}
CachedRoute::~CachedRoute() = default;

RouteCache::RouteCache(std::size_t most) : most_(most) {}
RouteCache::~RouteCache() {
  clear();
}

void RouteCache::detach(CachedRoute& route) {
  route.current = false;
  route.idle.clear();
}

CachedRoute* RouteCache::find(std::string_view key) {
  const auto found = routes_.find(key);
  if (found == routes_.end()) return nullptr;
  found->second->used = true;
  return found->second.get();
}

RoutePtr RouteCache::insert(const SessionKey& key, Generation generation, const Endpoint& endpoint,
                            const std::string& pod_uid) {
  if (const auto found = routes_.find(key.text()); found != routes_.end()) {
    CachedRoute& there = *found->second;
    if (there.generation == generation && there.pod_uid == pod_uid && there.endpoint == endpoint)
      return found->second;
    if (there.generation > generation) return RoutePtr(new CachedRoute(key, generation, endpoint, pod_uid));
    detach(there);
    routes_.erase(found);
  }
  if (routes_.size() >= most_) make_room();
  RoutePtr route(new CachedRoute(key, generation, endpoint, pod_uid));
  routes_.emplace(route->key.text(), route);
  return route;
}

RoutePtr RouteCache::drop(const SessionKey& key, Generation up_to) {
  const auto found = routes_.find(key.text());
  if (found == routes_.end() || found->second->generation > up_to) return nullptr;
  RoutePtr route = found->second;
  routes_.erase(found);
  detach(*route);
  return route;
}

void RouteCache::clear() {
  for (auto& entry : routes_) detach(*entry.second);
  routes_.clear();
}

// One round of the clock: what was not used since the last round goes, a sixteenth of the cache at the most.
void RouteCache::make_room() {
  std::size_t to_go = most_ / 16 + 1;
  for (auto it = routes_.begin(); it != routes_.end() && to_go > 0;) {
    CachedRoute& route = *it->second;
    if (route.used && route.in_flight == 0) {
      route.used = false;
      ++it;
      continue;
    }
    if (route.in_flight > 0) {
      ++it;
      continue;
    }
    detach(route);
    routes_.erase(it++);
    --to_go;
  }
  if (routes_.size() >= most_) {
    detach(*routes_.begin()->second);
    routes_.erase(routes_.begin());
  }
}

}  // namespace alcove::proxy
