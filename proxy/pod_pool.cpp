#include "proxy/pod_pool.hpp"

#include <utility>

namespace alcove::proxy {

std::unique_ptr<PodConn> PodPool::take(CachedRoute& route, bool surely) {
  while (route.idle != nullptr) {
    std::unique_ptr<PodConn> pod = std::move(route.idle);
    route.idle = std::move(pod->next);
    --route.idle_count;
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
  if (!route.current || !pod->in.empty() || route.idle_count >= kMostIdle) return;
  pod->in.release_if_empty();
  pod->idle_until = idle_until;
  pod->next = std::move(route.idle);
  route.idle = std::move(pod);
  ++route.idle_count;
  if (route.pooled) return;
  route.pooled = true;
  pooled_.push_back({idle_until, &route});
}

void PodPool::sweep(SteadyTime now) {
  for (std::size_t i = 0; i < pooled_.size();) {
    Pooled& pooled = pooled_[i];
    if (pooled.look_at > now) {
      ++i;
      continue;
    }
    // The newest are in front: with the first that is due begins what goes.
    CachedRoute& route = *pooled.route;
    std::unique_ptr<PodConn>* due = &route.idle;
    for (route.idle_count = 0; *due != nullptr && (*due)->idle_until > now; ++route.idle_count) {
      pooled.look_at = (*due)->idle_until;
      due = &(*due)->next;
    }
    due->reset();
    if (route.idle_count > 0) {
      ++i;
      continue;
    }
    route.pooled = false;
    std::swap(pooled, pooled_.back());
    pooled_.pop_back();
  }
}

}  // namespace alcove::proxy
