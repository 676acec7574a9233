#include "proxy/route_cache.hpp"

#include "proxy/pod_pool.hpp"

#include <algorithm>

namespace alcove::proxy {
namespace {

constexpr Millis kMostQuiet{10'000};

QuietTime quiet_time_for(Millis idle_timeout) {
  const Millis quiet = idle_timeout > Millis{0} ? std::min(idle_timeout / 60, kMostQuiet) : kMostQuiet;
  return QuietTime(static_cast<QuietTime::rep>(quiet.count()));
}

}  // namespace

CachedRoute::CachedRoute(const Session& session)
    : generation(session.generation),
      endpoint(session.endpoint),
      quiet_time(quiet_time_for(session.policy.idle_timeout)),
      key_bytes_(static_cast<std::uint8_t>(session.key.text().size())),
      uid_bytes_(static_cast<std::uint16_t>(session.pod_uid.size())) {
  char* const end =
      std::copy(session.key.text().begin(), session.key.text().end(), reinterpret_cast<char*>(this + 1));
  std::copy(session.pod_uid.begin(), session.pod_uid.end(), end);
}
CachedRoute::~CachedRoute() = default;

RoutePtr CachedRoute::make(const Session& session) {
  const WithTexts texts{session.key.text().size() + session.pod_uid.size()};
  return RoutePtr(new (texts) CachedRoute(session));
}

SessionKey CachedRoute::session_key() const {
  const std::size_t slash = key().find('/');
  return SessionKey(key().substr(0, slash), key().substr(slash + 1));
}

bool CachedRoute::leads_to(const Session& session) const {
  return generation == session.generation && pod_uid() == session.pod_uid &&
         endpoint == PackedEndpoint(session.endpoint);
}

RouteCache::RouteCache(std::size_t most) : most_(most) {}
RouteCache::~RouteCache() {
  clear();
}

void RouteCache::detach(CachedRoute& route) {
  route.current = false;
  route.tell_at = {};
  route.idle.reset();
  route.idle_count = 0;
}

CachedRoute* RouteCache::find(std::string_view key) {
  const auto found = routes_.find(key);
  if (found == routes_.end()) return nullptr;
  (*found)->used = true;
  return found->get();
}

RoutePtr RouteCache::insert(const Session& session) {
  if (const auto found = routes_.find(session.key.text()); found != routes_.end()) {
    CachedRoute& there = **found;
    if (there.leads_to(session)) return *found;
    if (there.generation > session.generation) {
      RoutePtr late = CachedRoute::make(session);
      late->current = false;
      return late;
    }
    detach(there);
    routes_.erase(found);
  }
  if (routes_.size() >= most_) make_room();
  RoutePtr route = CachedRoute::make(session);
  routes_.insert(route);
  return route;
}

RoutePtr RouteCache::drop(std::string_view key, Generation up_to) {
  const auto found = routes_.find(key);
  if (found == routes_.end() || (*found)->generation > up_to) return nullptr;
  RoutePtr route = *found;
  routes_.erase(found);
  detach(*route);
  return route;
}

void RouteCache::clear() {
  for (const RoutePtr& route : routes_) detach(*route);
  routes_.clear();
}

// One round of the clock: what was not used since the last round goes, a sixteenth of the cache at the most.
void RouteCache::make_room() {
  std::size_t to_go = most_ / 16 + 1;
  for (auto it = routes_.begin(); it != routes_.end() && to_go > 0;) {
    CachedRoute& route = **it;
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
    detach(**routes_.begin());
    routes_.erase(routes_.begin());
  }
}

}  // namespace alcove::proxy
