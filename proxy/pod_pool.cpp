#include "proxy/pod_pool.hpp"

#include <algorithm>
#include <utility>

namespace alcove::proxy {

std::unique_ptr<PodConn> PodPool::take(CachedRoute& route, bool surely) {
  while (!route.idle.empty()) {
    std::unique_ptr<PodConn> pod = std::move(route.idle.back());
    route.idle.pop_back();
    // The pod has written to it or closed it while it was idle: anything there ends it (rules 9 and 13).
    if (!pod->socket.is_quiet(surely || pod->suspect)) continue;
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
  if (std::exchange(route.pooled, true)) return;
  pooled_.push_back({idle_until, &route});
}

void PodPool::sweep(SteadyTime now) {
  for (std::size_t i = 0; i < pooled_.size();) {
    Pooled& pooled = pooled_[i];
    if (pooled.look_at > now) {
      ++i;
      continue;
    }
    // The oldest are in front.
    auto& idle = pooled.route->idle;
    const auto good =
        std::find_if(idle.begin(), idle.end(), [now](const auto& pod) { return pod->idle_until > now; });
    idle.erase(idle.begin(), good);
    if (!idle.empty()) {
      pooled.look_at = idle.front()->idle_until;
      ++i;
      continue;
    }
    pooled.route->pooled = false;
    std::swap(pooled, pooled_.back());
    pooled_.pop_back();
  }
}

}  // namespace alcove::proxy
