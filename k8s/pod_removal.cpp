#include "k8s/pod_removal.hpp"

#include "base/log.hpp"

namespace alcove::k8s {
namespace {

constexpr Millis kAfterForce{30'000};  // for the API to let go of what was removed by force
constexpr Millis kNoForceLimit{600'000};

}  // namespace

PodRemoval::PodRemoval(ApiClient& api, PodTable& table, std::string pods, Millis force_after)
    : api_(api), table_(table), pods_(std::move(pods)), force_after_(force_after) {}

Awaitable<Result<void>> PodRemoval::ask(SeenPodPtr pod, Millis grace) {
  RemoveOptions what;
  what.grace = grace;
  Result<void> asked = co_await ask(std::move(pod), std::move(what));
  co_return asked;
}

Awaitable<Result<void>> PodRemoval::ask(SeenPodPtr pod, RemoveOptions what) {
  pod->ours = true;
  if (pod->gone) co_return Result<void>{};
  what.uid = pod->view.pod.uid;
  std::string path = item(pods_, pod->view.object);
  const ApiResult<Object> removed = co_await api_.remove(std::move(path), what);
  if (removed) {
    pod->removed = true;
    co_return Result<void>{};
  }
  // Not there, or another has its name by now.
  if (removed.error().reason == ApiReason::not_found || removed.error().reason == ApiReason::conflict) {
    table_.forget(pod);
    co_return Result<void>{};
  }
  co_return to_error(removed.error());
}

Awaitable<Result<void>> PodRemoval::end(SeenPodPtr pod, Millis grace) {
  const Result<void> asked = co_await ask(pod, grace);
  if (!asked) co_return asked.error();
  const bool may_force = force_after_ > Millis{0};
  SteadyTime limit = SteadyClock::now() + grace + (may_force ? force_after_ : kNoForceLimit);
  bool forced = false;
  while (!pod->gone) {
    if (hurrying_)
      co_return Error{Errc::cancelled, "alcove is shutting down; the cluster goes on ending the pod"};
    co_await pod->changed.wait_until(limit);
    if (pod->gone || SteadyClock::now() < limit) continue;
    if (forced || !may_force)
      co_return Error{Errc::timeout, fmt::format("{} on node {} does not end", pod->view.object,
                                                 pod->view.node.empty() ? "(none)" : pod->view.node)};
    forced = true;
    limit = SteadyClock::now() + kAfterForce;
    spdlog::warn("{}: {} has not ended on node {}; removing it by force", shown(pod->view.pod.name),
                 pod->view.object, pod->view.node);
    RemoveOptions by_force;
    by_force.grace = grace;
    by_force.by_force = true;
    const Result<void> dropped = co_await ask(pod, std::move(by_force));
    if (!dropped) co_return dropped.error();
  }
  co_return Result<void>{};
}

void PodRemoval::hurry() {
  hurrying_ = true;
  for (const SeenPodPtr& pod : table_.all()) pod->changed.notify();
}

}  // namespace alcove::k8s
