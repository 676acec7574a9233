// From an app's settings to a Pod: what is in it by default, what the settings change, and that no text of a
// user's gets anywhere but into an annotation and values of variables.
#include "k8s/pod_manifest.hpp"

#include "k8s/pod_name.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace alcove::k8s {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

PodSpec spec(const std::string& user = "ada", Generation generation = 3) {
  PodSpec out;
  out.name = {SessionKey("notebook", session_name(user).value()), generation};
  out.user = user;
  out.app.name = "notebook";
  out.app.port = 8888;
  out.app.kubernetes.image = "registry.example/notebook:1";
  return out;
}

Json plan(const PodSpec& of) {
  const Result<PodPlan> made = plan_pod(of, "alcove");
  EXPECT_TRUE(made) << made.error().text;
  return made->pod;
}

const Json& app_of(const Json& pod) {
  return pod.at("spec").at("containers").at(0);
}

std::string env(const Json& pod, const std::string& name) {
  std::string found = "(none)";
  for (const Json& one : app_of(pod).at("env"))
    if (one.at("name") == name) found = one.value("value", "(not a value)");
  return found;
}

bool is_dns_label(const std::string& name) {
  return name.size() <= 63 && !name.empty() && name.front() != '-' && name.back() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

TEST(PodManifest, is_safe_by_default) {
  const Json pod = plan(spec());
  EXPECT_EQ(pod["spec"]["restartPolicy"], "Never");
  EXPECT_EQ(pod["spec"]["automountServiceAccountToken"], false);
  EXPECT_EQ(pod["spec"]["enableServiceLinks"], false);
  EXPECT_FALSE(pod["spec"].contains("serviceAccountName"));
  EXPECT_EQ(pod["spec"]["securityContext"],
            Json::parse(R"({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})"));
  EXPECT_EQ(app_of(pod)["securityContext"],
            Json::parse(R"({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": false})"));
}

TEST(PodManifest, says_whose_it_is) {
  const Json pod = plan(spec("Ada Lovelace <ada@example.com>"));
  const Object object{pod};
  EXPECT_EQ(object.label("app.kubernetes.io/managed-by"), "alcove");
  EXPECT_EQ(object.label("alcove/app"), "notebook");
  EXPECT_EQ(object.annotation("alcove/user"), "Ada Lovelace <ada@example.com>");
  EXPECT_EQ(object.annotation("alcove/port"), "8888");
  const std::optional<PodName> name = pod_name_of(object, "alcove");
  ASSERT_TRUE(name);
  EXPECT_EQ(*name, spec("Ada Lovelace <ada@example.com>").name);
  EXPECT_FALSE(pod_name_of(object, "another"));
}

TEST(PodManifest, takes_the_app_as_it_is_set) {
  PodSpec of = spec();
  of.app.ready_path = "/api";
  of.app.stop_grace = Millis{2'500};
  of.app.env = {{"GREETING", "hello {user} on {port}"}, {"PORT", "1"}};
  KubernetesAppSettings& k = of.app.kubernetes;
  k.pull = ImagePull::never;
  k.pull_secrets = {"registry"};
  k.command = {"/bin/app", "--listen={address}:{port}"};
  k.args = {"--name={session}"};
  k.ports = {{"metrics", 9090}};
  k.secret_env = {{"TOKEN", "keys/token"}};
  k.requests = {{"cpu", "100m"}};
  k.limits = {{"memory", "512Mi"}, {"nvidia.com/gpu", "1"}};
  k.node_selector = {{"pool", "users"}};
  k.priority_class = "low";
  k.service_account = "reader";
  k.mount_token = true;
  k.live_path = "/alive";
  k.run_as_user = 1000;
  k.fs_group = 100;
  k.read_only_root = true;
  k.labels = {{"team", "red"}};
  const Json pod = plan(of);
  const Json app = app_of(pod);
  EXPECT_EQ(app["image"], "registry.example/notebook:1");
  EXPECT_EQ(app["imagePullPolicy"], "Never");
  EXPECT_EQ(app["command"], Json::parse(R"(["/bin/app", "--listen=0.0.0.0:8888"])"));
  EXPECT_EQ(app["args"], Json::parse(R"(["--name=notebook/ada"])"));
  EXPECT_EQ(app["ports"][0]["containerPort"], 8888);
  EXPECT_EQ(app["ports"][1], Json::parse(R"({"name": "metrics", "containerPort": 9090, "protocol": "TCP"})"));
  EXPECT_EQ(app["readinessProbe"]["httpGet"], Json::parse(R"({"path": "/api", "port": 8888})"));
  EXPECT_EQ(app["livenessProbe"]["httpGet"]["path"], "/alive");
  EXPECT_EQ(app["resources"]["limits"]["nvidia.com/gpu"], "1");
  EXPECT_EQ(app["securityContext"]["readOnlyRootFilesystem"], true);
  EXPECT_EQ(env(pod, "GREETING"), "hello ada on 8888");
  EXPECT_EQ(env(pod, "PORT"), "1") << "the app may say otherwise";
  EXPECT_EQ(env(pod, "ALCOVE_SESSION"), "notebook/ada");
  EXPECT_EQ(env(pod, "ALCOVE_GENERATION"), "3");
  EXPECT_EQ(
      app["env"].back(),
      Json::parse(R"({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}})"));
  const Json& in = pod["spec"];
  EXPECT_EQ(in["imagePullSecrets"], Json::parse(R"([{"name": "registry"}])"));
  EXPECT_EQ(in["nodeSelector"]["pool"], "users");
  EXPECT_EQ(in["priorityClassName"], "low");
  EXPECT_EQ(in["serviceAccountName"], "reader");
  EXPECT_EQ(in["automountServiceAccountToken"], true);
  EXPECT_EQ(in["terminationGracePeriodSeconds"], 3) << "rounded up: 0 would be no grace at all";
  EXPECT_EQ(in["securityContext"]["runAsUser"], 1000);
  EXPECT_EQ(pod["metadata"]["labels"]["team"], "red");
}

TEST(PodManifest, without_a_ready_path_it_is_ready_when_it_accepts) {
  EXPECT_EQ(app_of(plan(spec()))["readinessProbe"]["tcpSocket"], Json::parse(R"({"port": 8888})"));
}

TEST(PodManifest, without_an_image_there_is_none) {
  PodSpec of = spec();
  of.app.kubernetes.image.clear();
  const Result<PodPlan> made = plan_pod(of, "alcove");
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().text, HasSubstr("app notebook has no kubernetes.image"));
}

TEST(PodManifest, a_lost_node_is_waited_for_thirty_seconds_unless_the_app_says_otherwise) {
  const Json by_default = plan(spec())["spec"]["tolerations"];
  ASSERT_EQ(by_default.size(), 2U);
  EXPECT_EQ(by_default[1], Json::parse(R"({"key": "node.kubernetes.io/unreachable", "operator": "Exists",
                                           "effect": "NoExecute", "tolerationSeconds": 30})"));
  PodSpec of = spec();
  KubernetesToleration own;
  own.key = "node.kubernetes.io/unreachable";
  own.effect = "NoExecute";
  own.seconds = 300;
  KubernetesToleration pool;
  pool.key = "pool";
  pool.exists = false;
  pool.value = "users";
  of.app.kubernetes.tolerations = {own, pool};
  const Json set = plan(of)["spec"]["tolerations"];
  ASSERT_EQ(set.size(), 3U);
  EXPECT_EQ(set[0]["tolerationSeconds"], 300);
  EXPECT_EQ(set[1], Json::parse(R"({"operator": "Equal", "key": "pool", "value": "users"})"));
  EXPECT_EQ(set[2]["key"], "node.kubernetes.io/not-ready");
}

TEST(PodManifest, volumes_are_mounted_and_claims_are_the_sessions_own) {
  PodSpec of = spec();
  KubernetesVolume home{"home", "/home/user", false, ClaimVolume{}};
  ClaimVolume scratch;
  scratch.keep = false;
  scratch.storage_class = "";
  scratch.size = "2Gi";
  EmptyVolume memory;
  memory.memory = true;
  memory.size = "64Mi";
  of.app.kubernetes.volumes = {home,
                               {"scratch", "/scratch", false, scratch},
                               {"tmp", "/tmp", false, memory},
                               {"conf", "/etc/app", true, ConfigMapVolume{"app-conf"}},
                               {"keys", "/etc/keys", true, SecretVolume{"app-keys"}}};
  const Result<PodPlan> made = plan_pod(of, "alcove");
  ASSERT_TRUE(made);
  const Json& volumes = made->pod["spec"]["volumes"];
  ASSERT_EQ(made->kept_claims.size(), 1U);
  ASSERT_EQ(made->own_claims.size(), 1U);
  const Json& kept = made->kept_claims[0];
  EXPECT_EQ(volumes[0]["persistentVolumeClaim"]["claimName"], kept["metadata"]["name"]);
  EXPECT_EQ(kept["spec"]["resources"]["requests"]["storage"], "1Gi");
  EXPECT_EQ(kept["spec"]["accessModes"], Json::parse(R"(["ReadWriteOnce"])"));
  EXPECT_FALSE(kept["spec"].contains("storageClassName"));
  EXPECT_EQ(kept["metadata"]["labels"]["alcove/volume"], "home");
  EXPECT_EQ(made->own_claims[0]["spec"]["storageClassName"], "");
  EXPECT_EQ(volumes[2]["emptyDir"], Json::parse(R"({"medium": "Memory", "sizeLimit": "64Mi"})"));
  EXPECT_EQ(volumes[3]["configMap"]["name"], "app-conf");
  EXPECT_EQ(volumes[4]["secret"]["secretName"], "app-keys");
  EXPECT_EQ(app_of(made->pod)["volumeMounts"][3],
            Json::parse(R"({"name": "conf", "mountPath": "/etc/app", "readOnly": true})"));

  PodSpec next = of;
  next.name.generation = 4;
  const Result<PodPlan> later = plan_pod(next, "alcove");
  EXPECT_EQ(later->kept_claims[0]["metadata"]["name"], kept["metadata"]["name"])
      << "its files are there again";
  EXPECT_NE(later->own_claims[0]["metadata"]["name"], made->own_claims[0]["metadata"]["name"]);
}

TEST(PodManifest, text_of_a_user_is_in_an_annotation_and_in_values_alone) {
  const std::string user = "x\"; $(ALCOVE_SESSION) $$(PATH) {port} \xC3\x9C";
  PodSpec of = spec(user);
  of.app.env = {{"WHO", "{user}"}, {"LITERAL", "$(PORT)"}};
  of.app.kubernetes.command = {"/app", "{user}"};
  of.app.kubernetes.volumes = {{"home", "/home", false, ClaimVolume{}}};
  const Result<PodPlan> made = plan_pod(of, "alcove");
  ASSERT_TRUE(made);
  Json pod = made->pod;
  EXPECT_EQ(app_of(pod)["command"][1], "{user}") << "not replaced there";
  // Kubernetes makes "$" of "$$", so this is the text itself again and refers to nothing.
  const std::string doubled = "x\"; $$(ALCOVE_SESSION) $$$$(PATH) {port} \xC3\x9C";
  EXPECT_EQ(env(pod, "ALCOVE_USER"), doubled);
  EXPECT_EQ(env(pod, "WHO"), doubled);
  EXPECT_EQ(env(pod, "LITERAL"), "$(PORT)") << "what the operator writes is Kubernetes' to replace";

  pod["metadata"]["annotations"].erase("alcove/user");
  for (Json& one : pod["spec"]["containers"][0]["env"]) one.erase("value");
  EXPECT_EQ(pod.dump().find("PATH"), std::string::npos);
  EXPECT_EQ(pod.dump().find("\xC3\x9C"), std::string::npos);
  Json claim = made->kept_claims[0];
  claim["metadata"]["annotations"].erase("alcove/user");
  EXPECT_EQ(claim.dump().find("PATH"), std::string::npos);
}

TEST(PodManifest, overlay_changes_what_it_names_and_nothing_else) {
  PodSpec of = spec();
  of.app.env = {{"A", "1"}, {"B", "2"}};
  of.app.kubernetes.pod = R"({
    "metadata": {"labels": {"team": "blue"}},
    "spec": {
      "runtimeClassName": "gvisor",
      "securityContext": {"runAsNonRoot": null, "supplementalGroups": [1, 2]},
      "tolerations": [{"key": "extra", "operator": "Exists"}],
      "containers": [
        {"name": "app", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
         "lifecycle": {"preStop": {"exec": {"command": ["sync"]}}}},
        {"name": "helper", "image": "helper:1"}
      ]}})";
  const Json pod = plan(of);
  EXPECT_EQ(pod["metadata"]["labels"]["team"], "blue");
  EXPECT_EQ(pod["spec"]["runtimeClassName"], "gvisor");
  EXPECT_FALSE(pod["spec"]["securityContext"].contains("runAsNonRoot"));
  EXPECT_EQ(pod["spec"]["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
  EXPECT_EQ(pod["spec"]["tolerations"].size(), 3U);
  ASSERT_EQ(pod["spec"]["containers"].size(), 2U);
  EXPECT_EQ(app_of(pod)["image"], "registry.example/notebook:1");
  EXPECT_EQ(app_of(pod)["lifecycle"]["preStop"]["exec"]["command"], Json::parse(R"(["sync"])"));
  EXPECT_EQ(env(pod, "A"), "1");
  EXPECT_EQ(env(pod, "B"), "3");
  EXPECT_EQ(env(pod, "C"), "4");
  EXPECT_EQ(pod["spec"]["containers"][1]["name"], "helper");
}

TEST(PodManifest, overlay_cannot_make_it_another_sessions_pod) {
  PodSpec of = spec();
  of.app.kubernetes.pod = R"({"kind": "Node", "metadata": {"name": "mine", "namespace": "kube-system",
    "labels": {"alcove/name": "grace", "alcove/instance": "other"}, "annotations": null}})";
  const Json pod = plan(of);
  EXPECT_EQ(pod["kind"], "Pod");
  EXPECT_EQ(pod["metadata"]["name"], pod_name("alcove", of.name));
  EXPECT_FALSE(pod["metadata"].contains("namespace"));
  EXPECT_EQ(*pod_name_of(Object{pod}, "alcove"), of.name);
  EXPECT_EQ(pod["metadata"]["annotations"]["alcove/user"], "ada");
}

TEST(PodManifest, overlay_that_leaves_no_pod_is_refused) {
  for (const char* over :
       {R"({"spec": null})", R"({"spec": {"containers": []}})", R"({"metadata": 7})", "[]"}) {
    PodSpec of = spec();
    of.app.kubernetes.pod = over;
    const Result<PodPlan> made = plan_pod(of, "alcove");
    ASSERT_FALSE(made) << over;
    EXPECT_THAT(made.error().text, HasSubstr("the pod overlay of app notebook"));
  }
}

TEST(PodNames, are_labels_and_never_meet) {
  std::set<std::string> names;
  const std::string most(63, 'a');
  for (const SessionKey& key : {SessionKey("a", "b"), SessionKey(most, most), SessionKey("a-b", "c"),
                                SessionKey("a", "b-c"), SessionKey("abcdefghijkl-x", "y"),
                                SessionKey("abcdefghijkl-z", "y"), SessionKey(most, most.substr(1))}) {
    for (const Generation generation : {Generation{1}, Generation{2}, ~Generation{0}}) {
      for (const char* instance : {"alcove", "other"}) {
        const std::string name = pod_name(instance, {key, generation});
        EXPECT_TRUE(is_dns_label(name)) << name;
        EXPECT_TRUE(names.insert(name).second) << name;
        EXPECT_EQ(name, pod_name(instance, {key, generation}));
      }
    }
    EXPECT_TRUE(is_dns_label(kept_claim_name("alcove", key, most)));
    EXPECT_TRUE(is_dns_label(claim_name("alcove", {key, ~Generation{0}}, most)));
    EXPECT_TRUE(names.insert(kept_claim_name("alcove", key, "home")).second);
    EXPECT_TRUE(names.insert(claim_name("alcove", {key, 1}, "home")).second);
    EXPECT_TRUE(names.insert(claim_name("alcove", {key, 2}, "home")).second);
  }
}

TEST(PodNames, labels_that_are_not_ours_name_nobody) {
  Object pod{plan(spec())};
  const auto with = [&](const char* key, const char* value) {
    Object changed = pod;
    changed.json["metadata"]["labels"][key] = value;
    return pod_name_of(changed, "alcove");
  };
  EXPECT_TRUE(pod_name_of(pod, "alcove"));
  EXPECT_FALSE(with("alcove/scope", "Not A Label"));
  EXPECT_FALSE(with("alcove/name", ""));
  for (const char* generation : {"", "0", "x", "1x", "-1", "99999999999999999999999"})
    EXPECT_FALSE(with("alcove/generation", generation)) << generation;
}

}  // namespace
}  // namespace alcove::k8s
