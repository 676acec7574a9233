// Route cache and the routes in it: for each session that this worker has served, where its pod is. A hit
// costs no round trip. Kept right by pushes (resolver), and by the lease: while the worker cannot reach the
// store it may use what it knows for outage.serve_known_for and no longer (docs/architecture.md, "No blind
// eviction"). Step 5 of the way of a request. Thread: the worker's; nothing is shared.
//
// A CachedRoute is one generation's pod: key, generation, endpoint and UID together are the fence, and the
// idle connections to the pod live in it, so that one can never be used for another pod. An exchange keeps
// its route alive after it has left the cache; `current` then is false, and its connections are closed
// instead of kept. There may be a million: a route is one allocation with its texts behind it, and the cache
// holds pointers and nothing else.
#pragma once

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "store/session.hpp"

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

namespace alcove::proxy {

class PodConn;

using QuietTime = std::chrono::duration<std::uint16_t, std::milli>;

enum class ActivityKind : std::uint8_t { none, request, body, websocket };

class CachedRoute final : public boost::intrusive_ref_counter<CachedRoute, boost::thread_unsafe_counter> {
 public:
  static boost::intrusive_ptr<CachedRoute> make(const Session& session);
  ~CachedRoute();
  CachedRoute(const CachedRoute&) = delete;
  CachedRoute& operator=(const CachedRoute&) = delete;
  static void operator delete(void* memory) { ::operator delete(memory); }

  std::string_view key() const { return {texts(), key_bytes_}; }  // SessionKey::text()
  std::string_view pod_uid() const { return {texts() + key_bytes_, uid_bytes_}; }
  SessionKey session_key() const;
  bool leads_to(const Session& session) const;  // the same pod

  std::uint32_t in_flight = 0;  // exchanges that are activity as long as they last
  const Generation generation;
  SteadyTime last_activity{};
  Millis busy_for{-1};   // from last_activity on, as the pod said; negative: nothing to tell the store
  SteadyTime tell_at{};  // Activity: not before; the store knows of a use that was not long ago
  std::unique_ptr<PodConn> idle;  // the first of PodPool's list: last in, first out
  const PackedEndpoint endpoint;
  const QuietTime quiet_time;  // so long a use that follows a told one is no news: Activity
  std::uint16_t idle_count = 0;
  ActivityKind kind : 2 = ActivityKind::none;
  bool marked : 1 = false;  // is in Activity's list
  bool current : 1 = true;  // is in the cache
  bool pooled : 1 = false;  // is in PodPool's list
  bool used : 1 = true;     // since the hand of the clock came by

 private:
  struct WithTexts {
    std::size_t bytes;
  };
  explicit CachedRoute(const Session& session);
  static void* operator new(std::size_t size, WithTexts texts) { return ::operator new(size + texts.bytes); }
  static void operator delete(void* memory, WithTexts) { ::operator delete(memory); }
  const char* texts() const { return reinterpret_cast<const char*>(this + 1); }

  const std::uint8_t key_bytes_;
  const std::uint16_t uid_bytes_;
};
static_assert(sizeof(CachedRoute) == 80, "what it weighs counts: bench/RESULTS.md");
using RoutePtr = boost::intrusive_ptr<CachedRoute>;

class RouteCache {
 public:
  explicit RouteCache(std::size_t most);
  ~RouteCache();

  // nullptr: not known. `key` is SessionKey::text().
  CachedRoute* find(std::string_view key);
  // Makes or replaces the route of a session that is ready; the same pod keeps the route that is there.
  RoutePtr insert(const Session& session);
  // Forgets the route if it is of this generation or an older one. Answers it, to look at what is in flight.
  RoutePtr drop(std::string_view key, Generation up_to);
  void clear();
  std::size_t size() const { return routes_.size(); }

 private:
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
    std::size_t operator()(const RoutePtr& route) const { return (*this)(route->key()); }
  };
  struct SameKey {
    using is_transparent = void;
    bool operator()(const RoutePtr& a, const RoutePtr& b) const { return a->key() == b->key(); }
    bool operator()(std::string_view key, const RoutePtr& route) const { return key == route->key(); }
    bool operator()(const RoutePtr& route, std::string_view key) const { return key == route->key(); }
  };

  void make_room();
  static void detach(CachedRoute& route);

  boost::unordered_flat_set<RoutePtr, KeyHash, SameKey> routes_;
  std::size_t most_;
};

}  // namespace alcove::proxy
