// The Kubernetes runtime against the stand-in, whose "kubelet" is the test: what it makes of statuses,
// evictions, broken watches and an API that is away. What every runtime must do is in
// tests/contract/runtime_contract_test.cpp, on a real cluster.
#include "k8s/kubernetes_runtime.hpp"

#include "base/log.hpp"
#include "k8s/pod_manifest.hpp"
#include "k8s/pod_name.hpp"
#include "tests/support/api_stand_in.hpp"
#include "tests/support/run_awaitable.hpp"
#include "tests/support/temporary_file.hpp"

#include <gmock/gmock.h>

#include <deque>

namespace alcove::k8s {
namespace {

using test::ApiStandIn;
using testing::HasSubstr;

constexpr const char* kNamespace = "sandboxes";
const test::ApiCollection kPods{"pods", kNamespace};
const test::ApiCollection kClaims{"persistentvolumeclaims", kNamespace};

Json status(const char* text) {
  return Json::parse(text);
}

const char* const kReady = R"({"phase": "Running", "podIP": "10.1.2.3",
  "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}],
  "containerStatuses": [{"name": "app", "state": {"running": {}}}]})";

class KubernetesRuntimeTest : public testing::Test {
 protected:
  KubernetesRuntimeTest() {
    spdlog::set_level(spdlog::level::off);
    settings.kubeconfig = kubeconfig.path();
    settings.pods_namespace = kNamespace;
    settings.force_after = Millis{300};
    app.name = "demo";
    app.start_timeout = Millis{20'000};
    app.stop_grace = Millis{1'000};
    app.kubernetes.image = "app:1";
    begin();
  }
  ~KubernetesRuntimeTest() override { end(); }
  void begin() {
    runtime = make_kubernetes_runtime(settings, context.get_executor(), metrics);
    runtime->on_exit([this](const PodExit& exit) { exits.push_back(exit); });
  }
  void end() {
    if (runtime) test::run(context, runtime->shut_down());
    runtime.reset();
  }

  PodSpec spec(const std::string& user = "ada", Generation generation = 1) const {
    PodSpec s;
    s.name = {SessionKey("demo", user), generation};
    s.user = user;
    s.app = app;
    return s;
  }
  std::string object(const std::string& user = "ada", Generation generation = 1) const {
    return pod_name(settings.instance, {SessionKey("demo", user), generation});
  }
  std::string plan_of(const PodSpec& s) const { return plan_pod(s, settings.instance)->pod.dump(); }
  using StartResult = std::optional<Result<Pod>>;
  // The result is there when the start has ended, which may be after the test's own end.
  StartResult& start_aside(PodSpec s) {
    StartResult& result = results.emplace_back();
    launch(context, runtime->start(std::move(s)),
           [&result](const std::exception_ptr&, Result<Pod> pod) { result.emplace(std::move(pod)); });
    return result;
  }
  bool created(const std::string& name) {
    return test::run_until(context, [&] { return api.objects().find(kPods, name).has_value(); });
  }
  void become(const std::string& name, const char* text) {
    api.objects().set_status(kNamespace, name, status(text));
  }
  Result<Pod> start_ready(PodSpec s) {
    const std::string name = pod_name(settings.instance, s.name);
    StartResult& result = start_aside(std::move(s));
    EXPECT_TRUE(created(name));
    become(name, kReady);
    EXPECT_TRUE(test::run_until(context, [&] { return result.has_value(); }));
    return *result;
  }
  // The pod comes to `text`, and the start ends with this reason.
  std::string fails_with(const char* text) {
    StartResult& result = start_aside(spec());
    EXPECT_TRUE(created(object()));
    become(object(), text);
    EXPECT_TRUE(test::run_until(context, [&] { return result.has_value(); }));
    EXPECT_FALSE(*result);
    if (*result) return {};
    EXPECT_EQ(result->error().code, Errc::failed);
    EXPECT_TRUE(list().empty()) << "what it made is being removed";
    const auto left = api.objects().find(kPods, object());
    EXPECT_TRUE(!left || left->at("metadata").contains("deletionTimestamp"));
    return result->error().text;
  }
  std::vector<Pod> list() { return test::run(context, runtime->list()).value().value(); }
  std::size_t posts() { return api.count("POST"); }

  ApiStandIn api;
  asio::io_context context{1};
  const test::TemporaryFile kubeconfig{
      "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
      "clusters: [{name: c, cluster: {server: \"" +
      api.access().server + "\"}}]\nusers: [{name: u, user: {token: let-me-in}}]\n"};
  KubernetesRuntimeSettings settings;
  AppSettings app;
  std::shared_ptr<ApiMetrics> metrics = std::make_shared<ApiMetrics>();
  std::unique_ptr<Runtime> runtime;
  std::vector<PodExit> exits;
  std::deque<StartResult> results;
};

TEST_F(KubernetesRuntimeTest, start_takes_one_call_and_its_end_one) {
  ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 1; }));
  const std::size_t before = api.requests().size();
  const Result<Pod> pod = start_ready(spec());
  ASSERT_TRUE(pod) << pod.error().text;
  EXPECT_EQ(to_string(pod->endpoint), "10.1.2.3:8080");
  EXPECT_EQ(api.requests().size() - before, 1U);
  std::optional<Result<void>> stopped;
  launch(context, runtime->stop(pod->name, Millis{2'500}),
         [&](const std::exception_ptr&, Result<void> result) { stopped = result; });
  ASSERT_TRUE(test::run_until(context, [&] { return api.count("DELETE") == 1; }));
  const test::ApiRequest removal = api.requests().back();
  EXPECT_THAT(removal.body, HasSubstr("\"uid\":\"" + pod->uid + "\""));
  EXPECT_THAT(removal.body, HasSubstr("\"gracePeriodSeconds\":3"));
  EXPECT_FALSE(stopped) << "it is still there";
  EXPECT_EQ(list().size(), 1U);
  api.objects().finish(kNamespace, object());
  ASSERT_TRUE(test::run_until(context, [&] { return stopped.has_value(); }));
  EXPECT_TRUE(*stopped);
  EXPECT_EQ(api.requests().size() - before, 2U);
  EXPECT_TRUE(exits.empty());
}

TEST_F(KubernetesRuntimeTest, ready_is_published_with_the_condition_and_the_address_not_before) {
  StartResult& result = start_aside(spec());
  ASSERT_TRUE(created(object()));
  become(object(), R"({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})");
  become(object(), R"({"podIP": "10.1.2.3", "conditions": [{"type": "Ready", "status": "False"}]})");
  const auto listed = [&] {
    const std::vector<Pod> pods = list();
    return pods.empty() ? Pod{} : pods.front();
  };
  ASSERT_TRUE(test::run_until(context, [&] { return listed().endpoint.port() != 0; }));
  EXPECT_FALSE(listed().ready);
  EXPECT_FALSE(result);
  become(object(), kReady);
  ASSERT_TRUE(test::run_until(context, [&] { return result.has_value(); }));
  EXPECT_TRUE(*result);
}

TEST_F(KubernetesRuntimeTest, says_why_an_image_cannot_be_had) {
  EXPECT_EQ(
      fails_with(R"({"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ErrImagePull",
    "message": "rpc error: app:1: not found"}}}]})"),
      "the pod cannot get ready: ErrImagePull: rpc error: app:1: not found");
}

TEST_F(KubernetesRuntimeTest, says_how_its_program_ended_and_what_it_wrote_last) {
  api.write_log(object(), "starting\nno licence\n\n");
  EXPECT_EQ(fails_with(R"({"phase": "Failed", "containerStatuses": [{"name": "app",
    "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]})"),
            "the pod exited with code 3 before it was ready; it wrote: starting | no licence");
}

TEST_F(KubernetesRuntimeTest, says_that_it_was_out_of_memory) {
  EXPECT_THAT(fails_with(R"({"phase": "Failed", "containerStatuses": [{"name": "app",
    "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]})"),
              HasSubstr("was killed for using more memory than its limit"));
}

TEST_F(KubernetesRuntimeTest, says_what_the_scheduler_says_when_the_time_is_over) {
  app.start_timeout = Millis{300};
  EXPECT_EQ(
      fails_with(R"({"conditions": [{"type": "PodScheduled", "status": "False",
    "message": "0/3 nodes are available: 3 Insufficient cpu."}]})"),
      "the pod was not ready within 0.3 s: no node takes it: 0/3 nodes are available: 3 Insufficient cpu.");
}

TEST_F(KubernetesRuntimeTest, says_what_the_events_say_when_the_status_says_nothing) {
  app.start_timeout = Millis{400};
  StartResult& result = start_aside(spec());
  ASSERT_TRUE(created(object()));
  become(object(), R"({"conditions": [{"type": "PodScheduled", "status": "True"}]})");
  const std::string uid = text_at(*api.objects().find(kPods, object()), {"metadata", "uid"});
  const Json event{{"apiVersion", "v1"},
                   {"kind", "Event"},
                   {"metadata", {{"name", "e1"}}},
                   {"involvedObject", {{"uid", uid}}},
                   {"type", "Warning"},
                   {"reason", "FailedMount"},
                   {"message", "secret \"keys\" not found"}};
  ASSERT_EQ(api.objects().create({"events", kNamespace}, event.dump()).status, 201);
  ASSERT_TRUE(test::run_until(context, [&] { return result.has_value(); }));
  EXPECT_EQ(
      result->error().text,
      "the pod was not ready within 0.4 s: node node1 has not started its container yet; Kubernetes says: "
      "FailedMount: secret \"keys\" not found");
}

TEST_F(KubernetesRuntimeTest, says_what_admission_says_and_does_not_try_again) {
  ApiStandIn::Fault quota;
  quota.status = 403;
  quota.reason = "Forbidden";
  quota.only_method = "POST";
  api.fail_next(1, quota);
  const Result<Pod> pod = test::run(context, runtime->start(spec())).value();
  ASSERT_FALSE(pod);
  EXPECT_EQ(pod.error().code, Errc::failed);
  EXPECT_EQ(pod.error().text, "the pod could not be made: this was wished by a test");
  EXPECT_EQ(posts(), 1U);
  EXPECT_TRUE(list().empty());
}

TEST_F(KubernetesRuntimeTest, create_whose_answer_was_lost_is_adopted) {
  ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 1; }));
  // As if the first try had been carried out: the pod is there, and nobody here has heard of it.
  end();
  ASSERT_EQ(api.objects().create(kPods, plan_of(spec())).status, 201);
  begin();
  const Result<Pod> pod = start_ready(spec());
  ASSERT_TRUE(pod) << pod.error().text;
  EXPECT_EQ(api.objects().count(kPods), 1U);
}

TEST_F(KubernetesRuntimeTest, name_that_somebody_else_has_is_not_touched) {
  Json foreign = Json::parse(plan_of(spec()));
  foreign["metadata"]["labels"]["alcove/name"] = "grace";
  ASSERT_EQ(api.objects().create(kPods, foreign.dump()).status, 201);
  app.start_timeout = Millis{2'000};
  const Result<Pod> pod = test::run(context, runtime->start(spec())).value();
  ASSERT_FALSE(pod);
  EXPECT_THAT(pod.error().text, HasSubstr("is there and is not this session's"));
  EXPECT_EQ(api.count("DELETE"), 0U);
}

TEST_F(KubernetesRuntimeTest, next_start_of_a_name_waits_until_the_earlier_pod_is_gone) {
  ASSERT_TRUE(start_ready(spec()));
  const std::string first = text_at(*api.objects().find(kPods, object()), {"metadata", "uid"});
  api.objects().remove(kPods, object(), R"({"kind": "DeleteOptions", "gracePeriodSeconds": 30})");
  ASSERT_TRUE(test::run_until(context, [&] { return exits.size() == 1; }));
  EXPECT_TRUE(exits.front().still_there);
  const std::size_t before = posts();
  StartResult& result = start_aside(spec());
  EXPECT_FALSE(test::run_until(
      context, [&] { return posts() > before; }, Millis{100}));
  api.objects().finish(kNamespace, object());
  ASSERT_TRUE(test::run_until(context, [&] { return posts() > before; }));
  ASSERT_TRUE(created(object()));
  become(object(), kReady);
  ASSERT_TRUE(test::run_until(context, [&] { return result.has_value(); }));
  EXPECT_NE((*result)->uid, first);
}

TEST_F(KubernetesRuntimeTest, pod_that_died_is_told_once_with_its_last_words_and_removed) {
  const Pod pod = start_ready(spec()).value();
  api.write_log(object(), "out of cheese\n");
  become(object(), R"({"phase": "Failed", "containerStatuses": [{"name": "app", "state":
    {"running": null, "terminated": {"exitCode": 1}}}]})");
  ASSERT_TRUE(test::run_until(context, [&] { return !exits.empty(); }));
  EXPECT_EQ(exits.front().uid, pod.uid);
  EXPECT_EQ(exits.front().reason, "the pod exited with code 1; it wrote: out of cheese");
  EXPECT_FALSE(exits.front().still_there);
  EXPECT_EQ(api.count("DELETE"), 1U);
  EXPECT_TRUE(list().empty());
  api.objects().finish(kNamespace, object());
  ASSERT_TRUE(test::run_until(context, [&] { return api.objects().count(kPods) == 0; }));
  EXPECT_EQ(exits.size(), 1U);
}

TEST_F(KubernetesRuntimeTest, pod_deleted_while_the_watch_was_broken_is_noticed) {
  const Pod pod = start_ready(spec()).value();
  ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 1; }));
  api.hang(true);
  api.cut_watches();
  ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 0; }));
  api.objects().finish(kNamespace, object());
  api.objects().compact();
  api.hang(false);
  ASSERT_TRUE(test::run_until(context, [&] { return !exits.empty(); }));
  EXPECT_EQ(exits.front().uid, pod.uid);
  EXPECT_EQ(exits.front().reason, "the pod was deleted by somebody else");
  EXPECT_TRUE(list().empty());
}

TEST_F(KubernetesRuntimeTest, pod_that_does_not_end_is_removed_by_force) {
  const Pod pod = start_ready(spec()).value();
  const Result<void> stopped = test::run(context, runtime->stop(pod.name, Millis{100})).value();
  ASSERT_TRUE(stopped) << stopped.error().text;
  const std::vector<test::ApiRequest> all = api.requests();
  EXPECT_THAT(all.back().body, HasSubstr("\"gracePeriodSeconds\":0"));
  EXPECT_THAT(all.back().body, HasSubstr(pod.uid));
  EXPECT_TRUE(list().empty());
}

TEST_F(KubernetesRuntimeTest, hurrying_leaves_the_end_to_the_cluster) {
  const Pod pod = start_ready(spec()).value();
  std::optional<Result<void>> stopped;
  launch(context, runtime->stop(pod.name, Millis{60'000}),
         [&](const std::exception_ptr&, Result<void> result) { stopped = result; });
  ASSERT_TRUE(test::run_until(context, [&] { return api.count("DELETE") == 1; }));
  runtime->hurry();
  ASSERT_TRUE(test::run_until(context, [&] { return stopped.has_value(); }));
  EXPECT_EQ(stopped->error().code, Errc::cancelled);
}

TEST_F(KubernetesRuntimeTest, start_that_is_stopped_while_the_api_is_away_ends_and_leaves_nothing) {
  ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 1; }));
  api.fail_next(1'000'000, {});
  StartResult& result = start_aside(spec());
  ASSERT_TRUE(test::run_until(context, [&] { return posts() >= 2; }));
  std::optional<Result<void>> stopped;
  launch(context, runtime->stop(spec().name, Millis{1'000}),
         [&](const std::exception_ptr&, Result<void> ended) { stopped = ended; });
  api.fail_next(0, {});
  ASSERT_TRUE(test::run_until(context, [&] { return result && stopped; }));
  EXPECT_EQ(result->error().code, Errc::cancelled);
  EXPECT_TRUE(*stopped);
  EXPECT_EQ(api.objects().count(kPods), 0U);
}

TEST_F(KubernetesRuntimeTest, what_is_not_in_the_list_yet_is_looked_up_before_it_is_called_gone) {
  const Pod pod = start_ready(spec()).value();
  const auto gone = [&](const std::string& uid) {
    return test::run(context, runtime->look_for(pod.name, uid)).value().value() == Presence::gone;
  };
  EXPECT_FALSE(gone(pod.uid));
  EXPECT_TRUE(gone("00000000-0000-4000-8000-999999999999"));
  api.objects().finish(kNamespace, object());
  EXPECT_TRUE(gone(pod.uid));
  api.fail_next(1'000'000, {});
  std::optional<Result<Presence>> away;
  launch(context, runtime->look_for(pod.name, pod.uid),
         [&](const std::exception_ptr& thrown, Result<Presence> answer) {
           EXPECT_FALSE(thrown);
           away = answer;
         });
  const std::size_t asked = api.count("GET");
  ASSERT_TRUE(test::run_until(context, [&] { return api.count("GET") > asked; }));
  runtime->hurry();
  test::run(context, runtime->shut_down());
  ASSERT_TRUE(test::run_until(context, [&] { return away.has_value(); }));
  EXPECT_FALSE(*away) << "not knowing is no answer";
  api.fail_next(0, {});
}

TEST_F(KubernetesRuntimeTest, volumes_of_the_session_are_kept_and_those_of_the_pod_are_its_own) {
  ClaimVolume scratch;
  scratch.keep = false;
  app.kubernetes.volumes = {{"home", "/home", false, ClaimVolume{}}, {"scratch", "/scratch", false, scratch}};
  const Pod first = start_ready(spec()).value();
  ASSERT_EQ(api.objects().count(kClaims), 2U);
  const SessionKey key("demo", "ada");
  const auto own = api.objects().find(kClaims, claim_name(settings.instance, first.name, "scratch"));
  ASSERT_TRUE(own);
  EXPECT_EQ(own->at("metadata").at("ownerReferences").at(0).at("uid"), first.uid);
  const auto kept = api.objects().find(kClaims, kept_claim_name(settings.instance, key, "home"));
  ASSERT_TRUE(kept);
  EXPECT_FALSE(kept->at("metadata").contains("ownerReferences"));
  ASSERT_TRUE(start_ready(spec("ada", 2)));
  EXPECT_EQ(api.objects().count(kClaims), 3U) << "the home is the same";
}

TEST_F(KubernetesRuntimeTest, pods_of_before_a_restart_are_known_again) {
  const Pod before = start_ready(spec("ada", 7)).value();
  end();
  begin();
  const std::vector<Pod> pods = list();
  ASSERT_EQ(pods.size(), 1U);
  EXPECT_EQ(pods.front().uid, before.uid);
  EXPECT_EQ(pods.front().name, before.name);
  EXPECT_EQ(pods.front().user, "ada");
  EXPECT_EQ(pods.front().app, "demo");
  EXPECT_EQ(pods.front().endpoint, before.endpoint);
  EXPECT_TRUE(pods.front().ready);
  become(object("ada", 7), R"({"phase": "Failed", "reason": "Evicted", "message": "low on memory"})");
  ASSERT_TRUE(test::run_until(context, [&] { return !exits.empty(); }));
  EXPECT_THAT(exits.front().reason, HasSubstr("was ended by Kubernetes: Evicted: low on memory"));
}

TEST_F(KubernetesRuntimeTest, log_is_read_and_then_followed_by_offsets) {
  const Pod pod = start_ready(spec()).value();
  api.write_log(object(), "one\n");
  LogRequest request;
  request.name.key = pod.name.key;
  const auto read = [&] {
    const Result<LogChunk> chunk = test::run(context, runtime->logs(request)).value();
    EXPECT_TRUE(chunk) << chunk.error().text;
    request.offset = chunk->next;
    return *chunk;
  };
  EXPECT_EQ(read().text, "one\n");
  EXPECT_EQ(read().text, "");
  api.write_log(object(), "two\n");
  std::string more;
  ASSERT_TRUE(test::run_until(context, [&] {
    more += read().text;
    return more == "two\n";
  }));
  api.end_log(object());
  ASSERT_TRUE(test::run_until(context, [&] { return read().ended; }));
  request.offset = 0;
  EXPECT_EQ(read().text, "one\ntwo\n");
  request.name = {SessionKey("demo", "nobody"), 1};
  EXPECT_EQ(test::run(context, runtime->logs(request))->error().code, Errc::not_found);
}

TEST_F(KubernetesRuntimeTest, sees_what_has_a_uid_of_the_api) {
  Session session;
  session.pod_uid = "123e4567-e89b-12d3-a456-426614174000";
  EXPECT_TRUE(runtime->sees(session));
  for (const char* uid :
       {"", "static-00", "123e4567-e89b-12d3-a456-42661417400Z", "123e4567ae89b-12d3-a456-426614174000"}) {
    session.pod_uid = uid;
    EXPECT_FALSE(runtime->sees(session)) << uid;
  }
}

TEST_F(KubernetesRuntimeTest, without_a_cluster_it_says_what_to_do) {
  KubernetesRuntimeSettings nowhere;
  nowhere.kubeconfig = "/no/such/kubeconfig";
  try {
    make_kubernetes_runtime(nowhere, context.get_executor(), metrics);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the Kubernetes runtime: cannot read /no/such/kubeconfig"));
  }
}

}  // namespace
}  // namespace alcove::k8s
