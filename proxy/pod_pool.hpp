// Pod connections: dial, keep for the next exchange, close before the pod does. The connections themselves
// live in the route they belong to (route_cache.hpp), so the fence of rule 15 needs no check here. Step 7 of
// the way of a request. Called by exchange; swept by the worker's tick. Thread: the worker's. Fails with: the
// error code of the connect; operation_aborted when the exchange's deadline cancelled it.
#pragma once

#include "base/net.hpp"
#include "base/time.hpp"
#include "proxy/buffer.hpp"
#include "proxy/metrics.hpp"
#include "proxy/route_cache.hpp"

#include <memory>

namespace alcove::proxy {

class PodConn {
 public:
  PodConn(Executor executor, BufferPool& buffers) : socket(executor), in(buffers) {}

  // Nobody has written to it or closed it while it was idle: anything there ends it (rules 9 and 13).
  bool is_quiet();
  template <class Buffers>
  std::size_t try_write(const Buffers& buffers) {
    error_code ec;
    return socket.write_some(buffers, ec);
  }

  Socket socket;
  Buffer in;
  bool reused = false;
  SteadyTime idle_until{};
};

class PodPool {
 public:
  PodPool(Executor executor, BufferPool& buffers, WorkerMetrics& metrics)
      : executor_(executor), buffers_(buffers), metrics_(metrics) {}

  // An idle connection of this route that is still good, or nullptr.
  std::unique_ptr<PodConn> take(CachedRoute& route);
  // A connection without its peer yet; the caller awaits connect() and can cancel its socket meanwhile.
  std::unique_ptr<PodConn> make() { return std::make_unique<PodConn>(executor_, buffers_); }
  // Opens and connects. Sets TCP_NODELAY and non-blocking mode.
  Awaitable<error_code> connect(PodConn& pod, Endpoint endpoint);
  // For the next exchange, if the route still stands; else it is closed.
  void put(CachedRoute& route, std::unique_ptr<PodConn> pod, SteadyTime idle_until);
  // Closes what has been idle too long.
  static void sweep(CachedRoute& route, SteadyTime now);

 private:
  static constexpr std::size_t kMostIdle = 256;  // per route

  Executor executor_;
  BufferPool& buffers_;
  WorkerMetrics& metrics_;
};

}  // namespace alcove::proxy
