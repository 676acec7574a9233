#include "k8s/dry_run.hpp"

#include "k8s/api_client.hpp"
#include "k8s/cluster_access.hpp"
#include "k8s/pod_manifest.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>

namespace alcove::k8s {
namespace {

// A name that no user has: it is none that a browser or a proxy would send. Nothing of it is kept anyway.
constexpr const char* kNobody = "alcove-check";
// fieldValidation: a misspelt field of an overlay is an error (1.27 and later; before that it is ignored).
constexpr const char* kDryRun = "?dryRun=All&fieldValidation=Strict";
constexpr CallOptions kPatience{Millis{10'000}, Millis{5'000}};

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

class DryRun {
 public:
  DryRun(Executor executor, const ClusterAccess& access, const KubernetesRuntimeSettings& runtime)
      : runtime_(runtime), api_(executor, access, std::make_shared<ApiMetrics>()) {
    namespace_ = !runtime.pods_namespace.empty() ? runtime.pods_namespace : access.pods_namespace;
    if (namespace_.empty()) namespace_ = "default";
  }

  Awaitable<void> try_all(const std::vector<AppSettings>& apps) {
    for (const AppSettings& app : apps) {
      const bool answered = co_await try_app(app);
      if (!answered) break;  // the others would only say the same
    }
    api_.close();
  }

  std::vector<std::string> faults;

 private:
  // False: the API does not answer, or does not know us.
  Awaitable<bool> try_app(const AppSettings& app) {
    PodSpec spec;
    spec.name = {SessionKey(app.name, kNobody), 1};
    spec.user = kNobody;
    spec.app = app;
    const Result<PodPlan> plan = plan_pod(spec, runtime_.instance);
    if (!plan) {
      fault(app, plan.error().text);
      co_return true;
    }
    for (const std::vector<Json>* claims : {&plan->kept_claims, &plan->own_claims}) {
      for (const Json& claim : *claims) {
        const bool answered = co_await try_object(app, "persistentvolumeclaims", claim);
        if (!answered) co_return false;
      }
    }
    co_return co_await try_object(app, "pods", plan->pod);
  }

  Awaitable<bool> try_object(const AppSettings& app, const char* kind, const Json& object) {
    std::string target = collection(kind, namespace_) + kDryRun;
    const ApiResult<Object> made = co_await api_.create(std::move(target), object, kPatience);
    if (made || made.error().reason == ApiReason::already_exists) co_return true;
    fault(app, made.error().message);
    const ApiReason reason = made.error().reason;
    co_return reason != ApiReason::unreachable&& reason != ApiReason::timeout&& reason !=
        ApiReason::unauthorized;
  }

  void fault(const AppSettings& app, const std::string& text) {
    faults.push_back(fmt::format("apps.{}: {}", app.name, text));
  }

  const KubernetesRuntimeSettings& runtime_;
  std::string namespace_;
  ApiClient api_;
};

}  // namespace

std::vector<std::string> try_on_cluster(const KubernetesRuntimeSettings& runtime,
                                        const std::vector<AppSettings>& apps) {
  const Result<ClusterAccess> access =
      find_cluster_access({runtime.kubeconfig, runtime.context}, environment);
  if (!access) return {"runtime.kubernetes: " + access.error().text};
  asio::io_context io{1};
  DryRun dry_run(io.get_executor(), *access, runtime);
  launch(io, dry_run.try_all(apps));
  io.run();
  return std::move(dry_run.faults);
}

}  // namespace alcove::k8s
