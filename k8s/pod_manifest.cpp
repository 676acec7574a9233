#include "k8s/pod_manifest.hpp"

#include "k8s/pod_name.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace alcove::k8s {
namespace {

constexpr const char* kListenAddress = "0.0.0.0";

std::string replace_all(std::string text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

// "$$" is a plain "$" to Kubernetes, whatever follows.
std::string escaped(const std::string& text) {
  return replace_all(text, "$", "$$");
}

// What may stand in a command: nothing that comes from a user.
std::string fill_in(const std::string& text, const PodSpec& spec) {
  std::string out = replace_all(text, "{port}", std::to_string(spec.app.port));
  out = replace_all(std::move(out), "{address}", kListenAddress);
  return replace_all(std::move(out), "{session}", spec.name.key.text());
}

// The user last, so that a placeholder in a name stays what it is.
std::string fill_in_value(const std::string& text, const PodSpec& spec) {
  return replace_all(fill_in(text, spec), "{user}", escaped(spec.user));
}

Json texts(const KubernetesAppSettings::Texts& from) {
  Json out = Json::object();
  for (const auto& [name, text] : from) out[name] = text;
  return out;
}

Json list_of(const std::vector<std::string>& words, const PodSpec& spec) {
  Json out = Json::array();
  for (const std::string& word : words) out.push_back(fill_in(word, spec));
  return out;
}

Json labels_of(const PodSpec& spec, std::string_view instance) {
  Json labels{{label::kManagedBy, "alcove"},
              {label::kInstance, instance},
              {label::kScope, spec.name.key.scope()},
              {label::kName, spec.name.key.name()},
              {label::kApp, spec.app.name}};
  return labels;
}

Json env_of(const PodSpec& spec) {
  Json env = Json::array();
  const auto add = [&](const std::string& name, std::string value) {
    const auto same =
        std::find_if(env.begin(), env.end(), [&](const Json& one) { return one.at("name") == name; });
    if (same != env.end()) env.erase(same);
    env.push_back({{"name", name}, {"value", std::move(value)}});
  };
  add("ADDRESS", kListenAddress);
  add("PORT", std::to_string(spec.app.port));
  add("ALCOVE_USER", escaped(spec.user));
  add("ALCOVE_SESSION", spec.name.key.text());
  add("ALCOVE_GENERATION", std::to_string(spec.name.generation));
  for (const auto& [name, value] : spec.app.env) add(name, fill_in_value(value, spec));
  for (const auto& [name, from] : spec.app.kubernetes.secret_env) {
    const std::size_t slash = from.find('/');
    env.push_back({{"name", name},
                   {"valueFrom",
                    {{"secretKeyRef", {{"name", from.substr(0, slash)}, {"key", from.substr(slash + 1)}}}}}});
  }
  return env;
}

Json ports_of(const AppSettings& app) {
  Json ports = Json::array();
  ports.push_back({{"name", "alcove"}, {"containerPort", app.port}, {"protocol", "TCP"}});
  for (const auto& [name, port] : app.kubernetes.ports)
    ports.push_back({{"name", name}, {"containerPort", port}, {"protocol", "TCP"}});
  return ports;
}

// As often as kubelet can: every second of it is a second that somebody waits.
Json readiness_of(const AppSettings& app) {
  Json probe{{"periodSeconds", 1}, {"timeoutSeconds", 5}, {"failureThreshold", 3}};
  if (app.ready_path.empty())
    probe["tcpSocket"] = {{"port", app.port}};
  else
    probe["httpGet"] = {{"path", app.ready_path}, {"port", app.port}};
  return probe;
}

std::int64_t seconds_up(Millis time) {
  return std::max<std::int64_t>(1, (time.count() + 999) / 1000);
}

Json container_of(const PodSpec& spec) {
  const KubernetesAppSettings& app = spec.app.kubernetes;
  Json out{{"name", kAppContainer},
           {"image", app.image},
           {"env", env_of(spec)},
           {"ports", ports_of(spec.app)},
           {"readinessProbe", readiness_of(spec.app)},
           {"securityContext",
            {{"allowPrivilegeEscalation", false},
             {"capabilities", {{"drop", {"ALL"}}}},
             {"readOnlyRootFilesystem", app.read_only_root}}}};
  if (!app.command.empty()) out["command"] = list_of(app.command, spec);
  if (!app.args.empty()) out["args"] = list_of(app.args, spec);
  if (!app.requests.empty()) out["resources"]["requests"] = texts(app.requests);
  if (!app.limits.empty()) out["resources"]["limits"] = texts(app.limits);
  if (!app.live_path.empty())
    out["livenessProbe"] = {{"httpGet", {{"path", app.live_path}, {"port", spec.app.port}}},
                            {"initialDelaySeconds", seconds_up(app.live_period)},
                            {"periodSeconds", seconds_up(app.live_period)},
                            {"timeoutSeconds", 5},
                            {"failureThreshold", 3}};
  switch (app.pull) {
    case ImagePull::by_default:
      break;
    case ImagePull::always:
      out["imagePullPolicy"] = "Always";
      break;
    case ImagePull::if_not_present:
      out["imagePullPolicy"] = "IfNotPresent";
      break;
    case ImagePull::never:
      out["imagePullPolicy"] = "Never";
      break;
  }
  for (const KubernetesVolume& volume : app.volumes) {
    Json mount{{"name", volume.name}, {"mountPath", volume.path}};
    if (volume.read_only) mount["readOnly"] = true;
    out["volumeMounts"].push_back(std::move(mount));
  }
  return out;
}

Json claim_of(const PodSpec& spec, std::string_view instance, const KubernetesVolume& volume,
              const ClaimVolume& claim, const std::string& name) {
  Json labels = labels_of(spec, instance);
  labels[label::kVolume] = volume.name;
  Json out{
      {"apiVersion", "v1"},
      {"kind", "PersistentVolumeClaim"},
      {"metadata",
       {{"name", name}, {"labels", std::move(labels)}, {"annotations", {{annotation::kUser, spec.user}}}}},
      {"spec", {{"accessModes", {claim.access}}, {"resources", {{"requests", {{"storage", claim.size}}}}}}}};
  if (claim.storage_class) out["spec"]["storageClassName"] = *claim.storage_class;
  return out;
}

void add_volume(const PodSpec& spec, std::string_view instance, const KubernetesVolume& volume,
                PodPlan& plan) {
  Json out{{"name", volume.name}};
  if (const auto* claim = std::get_if<ClaimVolume>(&volume.source)) {
    const std::string name = claim->keep ? kept_claim_name(instance, spec.name.key, volume.name)
                                         : claim_name(instance, spec.name, volume.name);
    (claim->keep ? plan.kept_claims : plan.own_claims)
        .push_back(claim_of(spec, instance, volume, *claim, name));
    out["persistentVolumeClaim"] = {{"claimName", name}};
  } else if (const auto* map = std::get_if<ConfigMapVolume>(&volume.source)) {
    out["configMap"] = {{"name", map->name}};
  } else if (const auto* secret = std::get_if<SecretVolume>(&volume.source)) {
    out["secret"] = {{"secretName", secret->name}};
  } else {
    const auto& empty = std::get<EmptyVolume>(volume.source);
    out["emptyDir"] = Json::object();
    if (empty.memory) out["emptyDir"]["medium"] = "Memory";
    if (!empty.size.empty()) out["emptyDir"]["sizeLimit"] = empty.size;
  }
  plan.pod["spec"]["volumes"].push_back(std::move(out));
}

Json tolerations_of(const KubernetesAppSettings& app) {
  Json out = Json::array();
  for (const KubernetesToleration& one : app.tolerations) {
    Json toleration{{"operator", one.exists ? "Exists" : "Equal"}};
    if (!one.key.empty()) toleration["key"] = one.key;
    if (!one.exists) toleration["value"] = one.value;
    if (!one.effect.empty()) toleration["effect"] = one.effect;
    if (one.seconds) toleration["tolerationSeconds"] = *one.seconds;
    out.push_back(std::move(toleration));
  }
  for (const char* key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
    const bool own = std::any_of(app.tolerations.begin(), app.tolerations.end(),
                                 [&](const auto& one) { return one.key == key || one.key.empty(); });
    if (!own)
      out.push_back({{"key", key},
                     {"operator", "Exists"},
                     {"effect", "NoExecute"},
                     {"tolerationSeconds", kNodeLostSeconds}});
  }
  return out;
}

Json pod_spec(const PodSpec& spec) {
  const KubernetesAppSettings& app = spec.app.kubernetes;
  Json security{{"runAsNonRoot", true}, {"seccompProfile", {{"type", "RuntimeDefault"}}}};
  if (app.run_as_user != 0) security["runAsUser"] = app.run_as_user;
  if (app.run_as_group != 0) security["runAsGroup"] = app.run_as_group;
  if (app.fs_group != 0) security["fsGroup"] = app.fs_group;
  // A container that ends ends the session's pod: the next one is a new generation, with a UID of its own.
  Json out{{"restartPolicy", "Never"},
           {"automountServiceAccountToken", app.mount_token},
           {"enableServiceLinks", false},
           {"terminationGracePeriodSeconds", seconds_up(spec.app.stop_grace)},
           {"securityContext", std::move(security)},
           {"tolerations", tolerations_of(app)},
           {"containers", Json::array({container_of(spec)})}};
  if (!app.service_account.empty()) out["serviceAccountName"] = app.service_account;
  if (!app.priority_class.empty()) out["priorityClassName"] = app.priority_class;
  if (!app.node_selector.empty()) out["nodeSelector"] = texts(app.node_selector);
  for (const std::string& secret : app.pull_secrets) out["imagePullSecrets"].push_back({{"name", secret}});
  return out;
}

// By what two elements of a list are the same thing; empty: the list has no such field.
std::string_view merge_key(std::string_view list, const Json& elements) {
  const std::string_view key = list == "volumeMounts" ? "mountPath" : "name";
  const bool all = !elements.empty() && std::all_of(elements.begin(), elements.end(), [&](const Json& one) {
    return one.is_object() && one.contains(std::string(key));
  });
  return all ? key : std::string_view{};
}

void overlay_list(std::string_view name, Json& base, const Json& over) {
  if (name == "tolerations") {
    base.insert(base.end(), over.begin(), over.end());
    return;
  }
  const std::string key(merge_key(name, over));
  if (key.empty() || (!base.empty() && merge_key(name, base).empty())) {
    base = over;
    return;
  }
  for (const Json& one : over) {
    const auto same =
        std::find_if(base.begin(), base.end(), [&](const Json& is) { return is.at(key) == one.at(key); });
    if (same == base.end())
      base.push_back(one);
    else
      overlay(*same, one);
  }
}

// What is ours stays ours, whatever the overlay says: by it pods are found again.
void seal(const PodSpec& spec, std::string_view instance, Json& pod) {
  pod["apiVersion"] = "v1";
  pod["kind"] = "Pod";
  Json& metadata = pod["metadata"];
  metadata["name"] = pod_name(instance, spec.name);
  metadata.erase("namespace");
  metadata.erase("generateName");
  metadata["labels"].update(labels_of(spec, instance));
  metadata["labels"][label::kGeneration] = std::to_string(spec.name.generation);
  metadata["annotations"][annotation::kUser] = spec.user;
  metadata["annotations"][annotation::kPort] = std::to_string(spec.app.port);
}

}  // namespace

void overlay(Json& base, const Json& over) {
  if (!base.is_object() || !over.is_object()) {
    base = over;
    return;
  }
  for (const auto& [key, value] : over.items()) {
    if (value.is_null()) {
      base.erase(key);
      continue;
    }
    Json& there = base[key];
    if (there.is_array() && value.is_array())
      overlay_list(key, there, value);
    else
      overlay(there, value);
  }
}

Result<PodPlan> plan_pod(const PodSpec& spec, std::string_view instance) {
  if (spec.app.kubernetes.image.empty())
    return Error{
        Errc::failed,
        fmt::format("app {} has no kubernetes.image, which the Kubernetes runtime needs", spec.app.name)};
  PodPlan plan;
  plan.pod = {{"metadata",
               {{"labels", texts(spec.app.kubernetes.labels)},
                {"annotations", texts(spec.app.kubernetes.annotations)}}},
              {"spec", pod_spec(spec)}};
  for (const KubernetesVolume& volume : spec.app.kubernetes.volumes) add_volume(spec, instance, volume, plan);
  if (!spec.app.kubernetes.pod.empty()) {
    const Json over = Json::parse(spec.app.kubernetes.pod, nullptr, false);
    if (!over.is_object())
      return Error{Errc::failed, fmt::format("the pod overlay of app {} is not a mapping", spec.app.name)};
    overlay(plan.pod, over);
    const bool whole = plan.pod["metadata"].is_object() && plan.pod["spec"].is_object() &&
                       !list_at(plan.pod, {"spec", "containers"}).empty();
    for (const char* part : {"labels", "annotations"})
      if (whole && !plan.pod["metadata"][part].is_object()) plan.pod["metadata"][part] = Json::object();
    if (!whole)
      return Error{Errc::failed,
                   fmt::format("the pod overlay of app {} leaves no Pod with containers", spec.app.name)};
  }
  seal(spec, instance, plan.pod);
  return plan;
}

}  // namespace alcove::k8s
