#include "proxy/pod_pool.hpp"

namespace alcove::proxy {

std::unique_ptr<PodConn> PodPool::take(CachedRoute& route, bool surely) {
  while (!route.idle.empty()) {
    std::unique_ptr<PodConn> pod = std::move(route.idle.back());
    route.idle.pop_back();
    // The pod has written to it or closed it while it was idle: anything there ends it (rules 9 and 13).
    if (!pod->socket.is_quiet(surely)) continue;
    pod->reused = true;
    metrics_.pod_connections_reused.add();
    return pod;
  }
  return nullptr;
}

Awaitable<error_code> PodPool::connect(PodConn& pod, Endpoint endpoint) {
  const error_code ec = co_await pod.socket.connect(endpoint);
  (ec ? metrics_.pod_dial_failures : metrics_.pod_connections).add();
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
