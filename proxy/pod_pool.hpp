// Pod connections: dial, keep for the next exchange, close before the pod does. The connections themselves
// live in the route they belong to (route_cache.hpp), so the fence of rule 15 needs no check here. Step 7 of
// the way of a request. Called by exchange; swept by the worker's tick. Thread: the worker's. Fails with: the
// error code of the connect; operation_aborted when the exchange's deadline cancelled it.
#pragma once

#include "base/time.hpp"
#include "proxy/buffer.hpp"
#include "proxy/metrics.hpp"
#include "proxy/polled_socket.hpp"
#include "proxy/route_cache.hpp"

#include <memory>

namespace alcove::proxy {

class PodConn {
 public:
  PodConn(Poller& poller, BufferPool& buffers) : socket(poller), in(buffers) {}

  PolledSocket socket;
  Buffer in;
  bool reused = false;
  bool suspect = false;  // its last answer had no body, by rule: a wrong one may still be on its way
  SteadyTime idle_until{};
  std::unique_ptr<PodConn> next;  // while it is idle: put before this one
};

class PodPool {
 public:
  PodPool(Poller& poller, BufferPool& buffers, WorkerMetrics& metrics)
      : poller_(poller), buffers_(buffers), metrics_(metrics) {}

  // An idle connection of this route that is still good, or nullptr. `surely`: not only as far as the last
  // batch of events has told, for who cannot send its request a second time.
  std::unique_ptr<PodConn> take(CachedRoute& route, bool surely);
  // A connection without its peer yet; the caller awaits connect() and can cancel its socket meanwhile.
  std::unique_ptr<PodConn> make() { return std::make_unique<PodConn>(poller_, buffers_); }
  Awaitable<error_code> connect(PodConn& pod, Endpoint endpoint);
  // For the next exchange, if the route still stands; else it is closed.
  void put(CachedRoute& route, std::unique_ptr<PodConn> pod, SteadyTime idle_until);
  // Closes what has been idle too long. Looks only at routes whose oldest idle connection may be due.
  void sweep(SteadyTime now);

 private:
  static constexpr std::size_t kMostIdle = 256;  // per route

  struct Pooled {
    SteadyTime look_at;
    RoutePtr route;
  };

  Poller& poller_;
  BufferPool& buffers_;
  WorkerMetrics& metrics_;
  std::vector<Pooled> pooled_;  // every route that has idle connections, and some that had
};

}  // namespace alcove::proxy
