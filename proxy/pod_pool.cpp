#include "proxy/pod_pool.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace alcove::proxy {

bool PodConn::is_quiet() {
  char byte = 0;
  const auto got = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

std::unique_ptr<PodConn> PodPool::take(CachedRoute& route) {
  while (!route.idle.empty()) {
    std::unique_ptr<PodConn> pod = std::move(route.idle.back());
    route.idle.pop_back();
    if (!pod->is_quiet()) continue;
    pod->reused = true;
    metrics_.pod_connections_reused.add();
    return pod;
  }
  return nullptr;
}

Awaitable<error_code> PodPool::connect(PodConn& pod, Endpoint endpoint) {
  auto [ec] = co_await pod.socket.async_connect(endpoint, kTuple);
  if (!ec) {
    error_code ignored;
    pod.socket.set_option(tcp::no_delay(true), ignored);
    pod.socket.non_blocking(true, ignored);
    metrics_.pod_connections.add();
  } else {
    metrics_.pod_dial_failures.add();
  }
  co_return ec;
}

void PodPool::put(CachedRoute& route, std::unique_ptr<PodConn> pod, SteadyTime idle_until) {
  if (!route.current || !pod->in.empty() || route.idle.size() >= kMostIdle) return;
  pod->in.release_if_empty();
  pod->idle_until = idle_until;
  route.idle.push_back(std::move(pod));
}

void PodPool::sweep(CachedRoute& route, SteadyTime now) {
  // The oldest are in front.
  auto it = route.idle.begin();
  while (it != route.idle.end() && (*it)->idle_until <= now) ++it;
  route.idle.erase(route.idle.begin(), it);
}

}  // namespace alcove::proxy
