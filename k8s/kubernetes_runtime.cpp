#include "k8s/kubernetes_runtime.hpp"

#include "base/log.hpp"
#include "k8s/api_client.hpp"
#include "k8s/cluster_access.hpp"
#include "k8s/informer.hpp"
#include "k8s/pod_failure.hpp"
#include "k8s/pod_log.hpp"
#include "k8s/pod_manifest.hpp"
#include "k8s/pod_name.hpp"
#include "k8s/pod_removal.hpp"
#include "k8s/pod_table.hpp"
#include "lifecycle/tasks.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <utility>

namespace alcove::k8s {
namespace {

constexpr Millis kFirstList{10'000};        // list() waits so long for the first list of the cluster
constexpr Millis kFailedStartGrace{2'000};  // for a pod that never got ready
constexpr Millis kEndedGrace{1'000};        // for one whose container runs no more

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

Error cancelled_start() {
  return {Errc::cancelled, "it was stopped while it started"};
}

Error failed(std::string text) {
  return {Errc::failed, std::move(text)};
}

// "123e4567-e89b-12d3-a456-426614174000", as the API makes them; no other runtime does.
bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return false;
    if (!dash && std::string_view("0123456789abcdef").find(text[i]) == std::string_view::npos) return false;
  }
  return true;
}

ClusterAccess find_access(const KubernetesRuntimeSettings& settings) {
  Result<ClusterAccess> access = find_cluster_access({settings.kubeconfig, settings.context}, environment);
  if (!access) throw std::runtime_error("the Kubernetes runtime: " + access.error().text);
  return *access;
}

std::string pods_namespace(const KubernetesRuntimeSettings& settings, const ClusterAccess& access) {
  if (!settings.pods_namespace.empty()) return settings.pods_namespace;
  return access.pods_namespace.empty() ? "default" : access.pods_namespace;
}

Selection all_of(const std::string& instance) {
  Selection selection;
  selection.labels = selector(instance);
  return selection;
}

class KubernetesRuntime final : public Runtime {
 public:
  KubernetesRuntime(const KubernetesRuntimeSettings& settings, const ClusterAccess& access, Executor executor,
                    std::shared_ptr<ApiMetrics> metrics);

  Awaitable<Result<Pod>> start(PodSpec spec) override;
  Awaitable<Result<void>> stop(PodName name, Millis grace) override;
  Awaitable<Result<std::vector<Pod>>> list() override;
  void on_exit(std::function<void(const PodExit&)> handler) override { on_exit_ = std::move(handler); }
  Awaitable<Result<LogChunk>> logs(LogRequest request) override;
  bool sees(const Session& session) const override { return is_uuid(session.pod_uid); }
  Awaitable<Result<Presence>> look_for(PodName name, std::string uid) override;
  void hurry() override;
  Awaitable<void> shut_down() override;

 private:
  struct Start {
    explicit Start(Executor executor) : changed(executor) {}
    PodSpec spec;
    SteadyTime deadline;
    SeenPodPtr pod;                   // once it is known
    std::size_t phases = 0;           // of PodPhase, that are over
    std::optional<SteadyTime> since;  // when the last of them was; none: the pod is not of our making
    bool cancelled = false;
    bool settled = false;  // it has its result, and what it leaves is removed
    std::optional<Result<Pod>> result;
    Signal changed;
  };
  using StartPtr = std::shared_ptr<Start>;
  using Key = std::pair<SessionKey, Generation>;

  Awaitable<Result<void>> launch(StartPtr start);
  Awaitable<Result<void>> make_pod(StartPtr start);
  Awaitable<Result<void>> make_claims(StartPtr start, const std::vector<Json>& claims);
  Awaitable<Result<void>> hand_claims_over(StartPtr start, const std::vector<Json>& claims);
  Awaitable<Result<void>> clear_the_name(StartPtr start, SeenPodPtr earlier);
  Awaitable<Result<void>> take_whoever_has_the_name(StartPtr start);
  Awaitable<Result<void>> wait_ready(StartPtr start);
  void note_phases(Start& start);
  Awaitable<Result<SeenPodPtr>> look_up(PodName name);
  Awaitable<void> tell_end(SeenPodPtr pod);
  void pod_changed(const SeenPodPtr& pod);
  Error explained(const ApiError& error, std::string_view what) const;
  std::string path_of(const PodName& name) const { return item(pods_, pod_name(instance_, name)); }
  CallOptions patience(const StartPtr& start) const;

  Executor executor_;
  std::string instance_;
  std::shared_ptr<ApiMetrics> metrics_;
  std::string namespace_;
  std::string pods_;
  std::string claims_;
  ApiClient api_;
  PodTable table_;
  Informer informer_;
  Tasks tasks_;
  Pauses pauses_;
  PodRemoval removal_;
  PodLogs logs_;
  SteadyTime first_list_until_;
  std::function<void(const PodExit&)> on_exit_;
  std::map<Key, StartPtr> starts_;
  bool shutting_down_ = false;
};

KubernetesRuntime::KubernetesRuntime(const KubernetesRuntimeSettings& settings, const ClusterAccess& access,
                                     Executor executor, std::shared_ptr<ApiMetrics> metrics)
    : executor_(executor),
      instance_(settings.instance),
      metrics_(std::move(metrics)),
      namespace_(pods_namespace(settings, access)),
      pods_(collection("pods", namespace_)),
      claims_(collection("persistentvolumeclaims", namespace_)),
      api_(executor, access, metrics_),
      table_(executor, instance_, [this](const SeenPodPtr& pod) { pod_changed(pod); }),
      informer_(executor, api_, pods_, all_of(instance_), table_, metrics_, {}),
      tasks_(executor),
      pauses_(executor),
      removal_(api_, table_, pods_, settings.force_after),
      logs_(executor, api_, tasks_, pauses_),
      first_list_until_(SteadyClock::now() + kFirstList) {
  spdlog::info("kubernetes: pods of instance {} in namespace {} of {}", instance_, namespace_, access.server);
  tasks_.spawn(informer_.run());
}

CallOptions KubernetesRuntime::patience(const StartPtr& start) const {
  const auto left = std::chrono::duration_cast<Millis>(start->deadline - SteadyClock::now());
  return {std::max(left, Millis{0}), std::clamp(left, Millis{1'000}, Millis{10'000})};
}

Error KubernetesRuntime::explained(const ApiError& error, std::string_view what) const {
  if (error.reason == ApiReason::cancelled) return {Errc::cancelled, error.message};
  return failed(fmt::format("{}: {}", what, error.message));
}

Awaitable<Result<Pod>> KubernetesRuntime::start(PodSpec spec) {
  if (shutting_down_) co_return Error{Errc::cancelled, "alcove is shutting down"};
  const Key key{spec.name.key, spec.name.generation};
  if (const auto found = starts_.find(key); found != starts_.end()) {
    const StartPtr first = found->second;
    while (!first->settled) co_await first->changed.wait_until(SteadyTime::max());
    co_return *first->result;
  }
  const auto start = std::make_shared<Start>(executor_);
  start->deadline = SteadyClock::now() + spec.app.start_timeout;
  start->spec = std::move(spec);
  starts_[key] = start;
  Result<void> launched = co_await launch(start);
  if (launched && start->cancelled) launched = cancelled_start();
  if (launched) {
    start->result = start->pod->view.pod;
  } else {
    if (start->cancelled) launched = cancelled_start();
    start->result = launched.error();
    if (start->pod && !start->pod->gone) {
      start->pod->unwanted = true;
      const Result<void> removed = co_await removal_.ask(start->pod, kFailedStartGrace);
      // The reconciler finds what is still listed.
      if (!removed) spdlog::warn("{}: {}", shown(start->spec.name), removed.error().text);
    }
  }
  starts_.erase(key);
  start->settled = true;
  start->changed.notify();
  co_return *start->result;
}

Awaitable<Result<void>> KubernetesRuntime::launch(StartPtr start) {
  const Result<void> made = co_await make_pod(start);
  if (!made) co_return made.error();
  Result<void> ready = co_await wait_ready(start);
  co_return ready;
}

// start->pod is the pod, ours or one that was there. What was made when it fails, start() removes.
Awaitable<Result<void>> KubernetesRuntime::make_pod(StartPtr start) {
  const Result<PodPlan> plan = plan_pod(start->spec, instance_);
  if (!plan) co_return plan.error();
  bool has_claims = plan->kept_claims.empty() && plan->own_claims.empty();
  for (;;) {
    if (start->cancelled) co_return cancelled_start();
    const std::vector<SeenPodPtr> there = table_.of(start->spec.name);
    if (!there.empty()) {
      const SeenPodPtr& earlier = there.front();
      const bool usable = !earlier->view.deleting && !earlier->view.ended && !earlier->ours;
      if (usable) {
        start->pod = earlier;
        co_return Result<void>{};
      }
      const Result<void> cleared = co_await clear_the_name(start, earlier);
      if (!cleared) co_return cleared.error();
      continue;
    }
    if (!has_claims) {
      Result<void> claimed = co_await make_claims(start, plan->kept_claims);
      if (claimed) claimed = co_await make_claims(start, plan->own_claims);
      if (!claimed) co_return claimed.error();
      has_claims = true;
    }
    const ApiResult<Object> created = co_await api_.create(pods_, plan->pod, patience(start));
    if (created) {
      start->pod = table_.see(*created);
      start->since = SteadyClock::now();
      if (!start->pod) co_return failed("the pod was deleted as soon as it was made");
      Result<void> owned = co_await hand_claims_over(start, plan->own_claims);
      co_return owned;
    }
    if (created.error().reason != ApiReason::already_exists)
      co_return explained(created.error(), "the pod could not be made");
    const Result<void> taken = co_await take_whoever_has_the_name(start);
    if (!taken) co_return taken.error();
  }
}

// The name is taken by what the watch has not told of yet. Afterwards the table knows it, or it is gone.
Awaitable<Result<void>> KubernetesRuntime::take_whoever_has_the_name(StartPtr start) {
  const ApiResult<Object> object = co_await api_.get(path_of(start->spec.name), patience(start));
  if (!object && object.error().reason == ApiReason::not_found) co_return Result<void>{};
  if (!object) co_return explained(object.error(), "the pod could not be looked at");
  const std::optional<PodName> name = pod_name_of(*object, instance_);
  if (!name || *name != start->spec.name)
    co_return failed(fmt::format("the pod could not be made: {} is there and is not this session's",
                                 pod_name(instance_, start->spec.name)));
  table_.see(*object);
  co_return Result<void>{};
}

// An earlier pod of the same name has ended, or is ending.
Awaitable<Result<void>> KubernetesRuntime::clear_the_name(StartPtr start, SeenPodPtr earlier) {
  if (!earlier->view.deleting && !earlier->removed) {
    const Result<void> removed = co_await removal_.ask(earlier, kEndedGrace);
    if (!removed) co_return removed.error();
  }
  while (!earlier->gone && !start->cancelled) {
    if (SteadyClock::now() >= start->deadline)
      co_return failed(
          fmt::format("an earlier pod of the same name, {}, has not ended yet", earlier->view.object));
    start->pod = earlier;  // so that stop() wakes us
    co_await earlier->changed.wait_until(start->deadline);
    start->pod.reset();
  }
  co_return Result<void>{};
}

Awaitable<Result<void>> KubernetesRuntime::make_claims(StartPtr start, const std::vector<Json>& claims) {
  for (const Json& claim : claims) {
    const ApiResult<Object> created = co_await api_.create(claims_, claim, patience(start));
    if (created || created.error().reason == ApiReason::already_exists) continue;
    co_return explained(created.error(), fmt::format("its volume {} could not be made",
                                                     text_at(claim, {"metadata", "labels", label::kVolume})));
  }
  co_return Result<void>{};
}

// Kubernetes removes what a pod owns after the pod.
Awaitable<Result<void>> KubernetesRuntime::hand_claims_over(StartPtr start, const std::vector<Json>& claims) {
  for (const Json& claim : claims) {
    Json owner{{"apiVersion", "v1"},
               {"kind", "Pod"},
               {"name", start->pod->view.object},
               {"uid", start->pod->view.pod.uid}};
    Json patch;
    patch["metadata"]["ownerReferences"] = Json::array({std::move(owner)});
    std::string path = item(claims_, text_at(claim, {"metadata", "name"}));
    const ApiResult<Object> patched =
        co_await api_.patch(std::move(path), PatchKind::merge, std::move(patch), patience(start));
    if (!patched) co_return explained(patched.error(), "its volume could not be given to its pod");
  }
  co_return Result<void>{};
}

void KubernetesRuntime::note_phases(Start& start) {
  if (!start.since) return;
  const PodView& view = start.pod->view;
  const std::array<bool, static_cast<std::size_t>(PodPhase::count_)> over{view.scheduled, view.running,
                                                                          view.pod.ready};
  for (; start.phases < over.size() && over[start.phases]; ++start.phases) {
    const SteadyTime now = SteadyClock::now();
    metrics_->phases[start.phases].observe(std::chrono::duration_cast<Millis>(now - *start.since));
    start.since = now;
  }
}

Awaitable<Result<void>> KubernetesRuntime::wait_ready(StartPtr start) {
  const SeenPodPtr pod = start->pod;
  for (;;) {
    note_phases(*start);
    if (start->cancelled) co_return cancelled_start();
    if (pod->gone || (pod->view.deleting && !pod->ours))
      co_return failed("the pod was deleted by somebody else while it started");
    if (pod->view.pod.ready) co_return Result<void>{};
    std::string why;
    if (pod->view.ended) {
      why = fmt::format("the pod {} before it was ready", pod->view.end);
    } else if (pod->view.hopeless) {
      why = fmt::format("the pod cannot get ready: {}", pod->view.trouble);
    } else if (SteadyClock::now() >= start->deadline) {
      why = late_text(pod->view, start->spec.app, informer_.trouble());
    }
    if (!why.empty()) {
      const FailureSource source{pods_, collection("events", namespace_)};
      std::string text = co_await with_evidence(api_, source, pod->view, std::move(why));
      co_return failed(std::move(text));
    }
    co_await pod->changed.wait_until(start->deadline);
  }
}

Awaitable<Result<void>> KubernetesRuntime::stop(PodName name, Millis grace) {
  if (const auto found = starts_.find({name.key, name.generation}); found != starts_.end()) {
    const StartPtr start = found->second;
    start->cancelled = true;
    if (start->pod) start->pod->changed.notify();
    while (!start->settled) co_await start->changed.wait_until(SteadyTime::max());
  }
  std::vector<SeenPodPtr> pods = table_.of(name);
  if (pods.empty()) {
    // Not known here: it is gone, or another process has made it a moment ago.
    const Result<SeenPodPtr> found = co_await look_up(name);
    if (!found) co_return found.error();
    if (*found) pods.push_back(*found);
  }
  for (const SeenPodPtr& pod : pods) {
    Result<void> ended = co_await removal_.end(pod, grace);
    if (!ended) co_return ended.error();
  }
  co_return Result<void>{};
}

// Null: there is no such pod.
Awaitable<Result<SeenPodPtr>> KubernetesRuntime::look_up(PodName name) {
  const ApiResult<Object> object = co_await api_.get(path_of(name));
  if (!object && object.error().reason == ApiReason::not_found) co_return SeenPodPtr{};
  if (!object) co_return to_error(object.error());
  const std::optional<PodName> its = pod_name_of(*object, instance_);
  co_return its&&* its == name ? table_.see(*object) : SeenPodPtr{};
}

Awaitable<Result<std::vector<Pod>>> KubernetesRuntime::list() {
  const bool known = co_await informer_.wait_in_step(first_list_until_);
  if (!known)
    co_return Error{Errc::unavailable,
                    fmt::format("the pods on the cluster are not known yet: {}", informer_.trouble())};
  std::vector<Pod> out;
  for (const SeenPodPtr& pod : table_.all())
    if (!(pod->unwanted && pod->removed)) out.push_back(pod->view.pod);
  co_return out;
}

Awaitable<Result<Presence>> KubernetesRuntime::look_for(PodName name, std::string uid) {
  const Result<SeenPodPtr> found = co_await look_up(std::move(name));
  if (!found) co_return found.error();
  const SeenPodPtr& pod = *found;
  const bool gone = !pod || pod->view.pod.uid != uid || pod->view.ended;
  co_return gone ? Presence::gone : Presence::there;
}

// Each change of a pod comes by here: is it the end of one that took requests?
void KubernetesRuntime::pod_changed(const SeenPodPtr& pod) {
  if (pod->view.pod.ready) pod->was_ready = true;
  const bool over = pod->gone || pod->view.ended || pod->view.deleting;
  if (pod->gone) logs_.forget(pod->view.pod.uid);
  if (!over || !pod->was_ready || pod->ours || pod->told || !on_exit_ || shutting_down_) return;
  pod->told = true;
  tasks_.spawn(tell_end(pod));
}

Awaitable<void> KubernetesRuntime::tell_end(SeenPodPtr pod) {
  PodExit exit;
  exit.name = pod->view.pod.name;
  exit.uid = pod->view.pod.uid;
  exit.still_there = !pod->gone && !pod->view.ended;
  std::string why = end_reason(pod->view, pod->gone);
  const FailureSource source{pods_, collection("events", namespace_)};
  exit.reason = co_await with_evidence(api_, source, pod->view, std::move(why));
  if (!exit.still_there && !pod->gone) {
    pod->unwanted = true;
    const Result<void> removed = co_await removal_.ask(pod, kEndedGrace);
    if (!removed) spdlog::warn("{}: {}", shown(exit.name), removed.error().text);
  }
  if (on_exit_ && !shutting_down_) on_exit_(exit);
}

Awaitable<Result<LogChunk>> KubernetesRuntime::logs(LogRequest request) {
  const SeenPodPtr pod = [&] {
    if (request.name.generation == 0) return table_.latest(request.name.key);
    const std::vector<SeenPodPtr> found = table_.of(request.name);
    return found.empty() ? SeenPodPtr{} : found.front();
  }();
  if (!pod)
    co_return Error{Errc::not_found,
                    fmt::format("{} has no pod on the cluster (Kubernetes keeps no output of pods "
                                "that are gone)",
                                request.name.key.text())};
  Result<LogChunk> chunk =
      co_await logs_.read(pod->view.pod.uid, item(pods_, pod->view.object), request.offset, request.tail);
  co_return chunk;
}

void KubernetesRuntime::hurry() {
  removal_.hurry();
}

Awaitable<void> KubernetesRuntime::shut_down() {
  shutting_down_ = true;
  hurry();
  for (const auto& [key, start] : starts_) {
    start->cancelled = true;
    if (start->pod) start->pod->changed.notify();
  }
  informer_.stop();
  logs_.close();
  pauses_.end();
  api_.close();
  co_await tasks_.all_done();
}

}  // namespace

std::unique_ptr<Runtime> make_kubernetes_runtime(const KubernetesRuntimeSettings& settings, Executor executor,
                                                 std::shared_ptr<ApiMetrics> metrics) {
  const ClusterAccess access = find_access(settings);
  return std::make_unique<KubernetesRuntime>(settings, access, executor, std::move(metrics));
}

}  // namespace alcove::k8s
