// Route cache and the routes in it: for each session that this worker has served, where its pod is. A hit
// costs no round trip. Kept right by pushes (resolver), and by the lease: while the worker cannot reach the
// store it may use what it knows for outage.serve_known_for and no longer (docs/architecture.md, "No blind
// eviction"). Step 5 of the way of a request. Thread: the worker's; nothing is shared.
//
// A CachedRoute is one generation's pod: key, generation, endpoint and UID together are the fence, and the
// idle connections to the pod live in it, so that one can never be used for another pod. An exchange keeps
// its route alive after it has left the cache; `current` then is false, and its connections are closed
// instead of kept.
#pragma once

#include "base/endpoint.hpp"
#include "base/session_key.hpp"
#include "base/time.hpp"

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace alcove::proxy {

class PodConn;

enum class ActivityKind : std::uint8_t { none, request, body, websocket };

struct CachedRoute : boost::intrusive_ref_counter<CachedRoute, boost::thread_unsafe_counter> {
  CachedRoute(SessionKey k, Generation g, Endpoint e, std::string uid);
  ~CachedRoute();

  SessionKey key;
  std::string pod_uid;
  Generation generation;
  Endpoint endpoint;
  SteadyTime last_activity{};
  Millis busy_for{-1};          // from last_activity on, as the pod said; negative: nothing to tell the store
  std::uint32_t in_flight = 0;  // exchanges that are activity as long as they last
  ActivityKind kind = ActivityKind::none;
  bool marked = false;                         // is in Activity's list
  bool current = true;                         // is in the cache
  bool pooled = false;                         // is in PodPool's list
  bool used = true;                            // since the hand of the clock came by
  std::vector<std::unique_ptr<PodConn>> idle;  // last in, first out
};
using RoutePtr = boost::intrusive_ptr<CachedRoute>;

class RouteCache {
 public:
  explicit RouteCache(std::size_t most);
  ~RouteCache();

  // nullptr: not known. `key` is SessionKey::text().
  CachedRoute* find(std::string_view key);
  // Makes or replaces the route of a key; the same generation and UID keeps the route that is there.
  RoutePtr insert(const SessionKey& key, Generation generation, const Endpoint& endpoint,
                  const std::string& pod_uid);
  // Forgets the route if it is of this generation or an older one. Answers it, to look at what is in flight.
  RoutePtr drop(const SessionKey& key, Generation up_to);
  void clear();
  std::size_t size() const { return routes_.size(); }

 private:
  void make_room();
  static void detach(CachedRoute& route);

  // The view points into the route's own key.
  boost::unordered_flat_map<std::string_view, RoutePtr> routes_;
  std::size_t most_;
};

}  // namespace alcove::proxy
