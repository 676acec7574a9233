// What Alcove relies on in the Kubernetes API, tried with the client against the stand-in and, in the group
// `kubernetes`, against a real API server, so that the one cannot drift from the other. The cluster is the
// one of ALCOVE_TEST_KUBECONFIG, in a namespace that exists (ALCOVE_TEST_NAMESPACE); pods here fit on no
// node, so that no kubelet comes in between.
#include "k8s/api_client.hpp"
#include "k8s/informer.hpp"
#include "tests/support/api_stand_in.hpp"
#include "tests/support/run_awaitable.hpp"

#include <gmock/gmock.h>

#include <unistd.h>

#include <cstdlib>

namespace alcove::k8s {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Api {
 public:
  virtual ~Api() = default;
  virtual ClusterAccess access() = 0;
  virtual std::string name_space() = 0;
  virtual void forget_history() = 0;  // what is old from now on answers 410
};

class StandIn final : public Api {
 public:
  ClusterAccess access() override { return api_.access(); }
  std::string name_space() override { return "test"; }
  void forget_history() override { api_.objects().compact(); }

 private:
  test::ApiStandIn api_;
};

class Cluster final : public Api {
 public:
  ClusterAccess access() override {
    return access_from_kubeconfig(std::getenv("ALCOVE_TEST_KUBECONFIG"), "").value();
  }
  std::string name_space() override {
    const char* name = std::getenv("ALCOVE_TEST_NAMESPACE");
    return name == nullptr ? "default" : name;
  }
  void forget_history() override {
    const char* command = std::getenv("ALCOVE_TEST_COMPACT");
    ASSERT_NE(command, nullptr);
    ASSERT_EQ(std::system(command), 0);
  }
};

struct Maker {
  const char* name;
  std::unique_ptr<Api> (*make)();
};

class ApiContract : public testing::TestWithParam<Maker> {
 protected:
  void SetUp() override {
    api = GetParam().make();
    client =
        std::make_unique<ApiClient>(context.get_executor(), api->access(), std::make_shared<ApiMetrics>());
    maps = collection("configmaps", api->name_space());
    pods = collection("pods", api->name_space());
  }
  void TearDown() override {
    for (const std::string& path : made) run(client->remove(path, {}));
    client->close();
  }
  template <class T>
  ApiResult<T> run(Awaitable<ApiResult<T>> call) {
    return test::run(context, std::move(call)).value();
  }
  // A name that no other run has.
  std::string fresh(const std::string& name) {
    return name + "-" + std::to_string(::getpid()) + "-" + std::to_string(++names);
  }
  Json config_map(const std::string& name) const {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"name", name}, {"labels", {{"run", run_label}}}}}};
  }
  Json pod(const std::string& name) const {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata", {{"name", name}, {"labels", {{"run", run_label}}}}},
            {"spec",
             {{"nodeSelector", {{"alcove-test/no-such-node", "yes"}}},
              {"containers", {{{"name", "app"}, {"image", "localhost/none:1"}}}}}}};
  }
  ApiResult<Object> create(const std::string& where, Json object) {
    made.push_back(item(where, text_at(object, {"metadata", "name"})));
    return run(client->create(where, std::move(object)));
  }
  Selection ours() const {
    Selection selection;
    selection.labels = "run=" + run_label;
    return selection;
  }
  ApiResult<ObjectList> list(std::uint32_t page) { return run(client->list(maps, ours(), page)); }
  ApiResult<std::vector<WatchEvent>> next(const std::shared_ptr<Watch>& watch) {
    return run(Watch::next(watch));
  }

  std::unique_ptr<Api> api;
  asio::io_context context{1};
  std::unique_ptr<ApiClient> client;
  std::string maps;
  std::string pods;
  std::string run_label = fresh("run");
  std::vector<std::string> made;
  int names = 0;
};

TEST_P(ApiContract, creates_and_gets_what_was_created) {
  const std::string name = fresh("map");
  const ApiResult<Object> created = create(maps, config_map(name));
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->name(), name);
  EXPECT_EQ(created->uid().size(), 36U);
  EXPECT_FALSE(created->version().empty());
  const ApiResult<Object> got = run(client->get(item(maps, name)));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->uid(), created->uid());
}

TEST_P(ApiContract, a_name_that_is_taken_is_already_exists) {
  const std::string name = fresh("map");
  ASSERT_TRUE(create(maps, config_map(name)));
  const ApiResult<Object> again = run(client->create(maps, config_map(name)));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, ApiReason::already_exists);
  EXPECT_EQ(again.error().word, "AlreadyExists");
  EXPECT_THAT(again.error().message, HasSubstr("already exists"));
}

TEST_P(ApiContract, what_is_not_there_is_not_found) {
  const std::string path = item(maps, fresh("none"));
  const ApiResult<Object> got = run(client->get(path));
  EXPECT_EQ(got.error().reason, ApiReason::not_found);
  EXPECT_EQ(got.error().word, "NotFound");
  EXPECT_EQ(run(client->remove(path, {})).error().reason, ApiReason::not_found);
  EXPECT_EQ(run(client->patch(path, PatchKind::merge, {{"data", {{"a", "b"}}}})).error().reason,
            ApiReason::not_found);
}

TEST_P(ApiContract, what_makes_no_sense_is_refused_with_its_place) {
  Json upper = config_map("Not A Name");
  const ApiResult<Object> named = run(client->create(maps, upper));
  EXPECT_EQ(named.error().reason, ApiReason::invalid);
  EXPECT_THAT(named.error().message, HasSubstr("metadata.name"));
  Json label = config_map(fresh("map"));
  label["metadata"]["labels"]["user"] = "Ada Lovelace";
  EXPECT_EQ(run(client->create(maps, label)).error().reason, ApiReason::invalid);
  Json empty = pod(fresh("pod"));
  empty["spec"]["containers"] = Json::array();
  const ApiResult<Object> without = run(client->create(pods, empty));
  EXPECT_EQ(without.error().reason, ApiReason::invalid);
  EXPECT_THAT(without.error().message, HasSubstr("spec.containers"));
  Json other = config_map(fresh("map"));
  other["kind"] = "Pod";
  EXPECT_EQ(run(client->create(maps, other)).error().reason, ApiReason::bad_request);
  Json elsewhere = config_map(fresh("map"));
  elsewhere["metadata"]["namespace"] = "kube-public";
  EXPECT_EQ(run(client->create(maps, elsewhere)).error().reason, ApiReason::bad_request);
}

TEST_P(ApiContract, any_text_is_kept_in_an_annotation) {
  const std::string name = fresh("map");
  const std::string user = "Ada \"$(X)\" \xC3\x9C\xE2\x98\x83 /\\ <b>";
  Json object = config_map(name);
  object["metadata"]["annotations"]["alcove/user"] = user;
  ASSERT_TRUE(create(maps, object));
  EXPECT_EQ(run(client->get(item(maps, name)))->annotation("alcove/user"), user);
}

TEST_P(ApiContract, patch_merges_and_keeps_to_the_version_that_it_names) {
  const std::string name = fresh("map");
  const ApiResult<Object> created = create(maps, config_map(name));
  ASSERT_TRUE(created);
  const ApiResult<Object> patched =
      run(client->patch(item(maps, name), PatchKind::merge, {{"data", {{"a", "1"}}}}));
  ASSERT_TRUE(patched) << patched.error().message;
  EXPECT_EQ(text_at(patched->json, {"data", "a"}), "1");
  EXPECT_EQ(patched->label("run"), run_label);
  EXPECT_NE(patched->version(), created->version());
  const Json stale{{"metadata", {{"resourceVersion", created->version()}}}, {"data", {{"a", "2"}}}};
  const ApiResult<Object> late = run(client->patch(item(maps, name), PatchKind::strategic_merge, stale));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, ApiReason::conflict);
  EXPECT_EQ(late.error().word, "Conflict");
}

TEST_P(ApiContract, delete_keeps_to_the_uid_that_it_names) {
  const std::string name = fresh("map");
  const ApiResult<Object> created = create(maps, config_map(name));
  RemoveOptions other;
  other.uid = "00000000-0000-0000-0000-000000000000";
  const ApiResult<Object> refused = run(client->remove(item(maps, name), other));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, ApiReason::conflict);
  RemoveOptions own;
  own.uid = created->uid();
  EXPECT_TRUE(run(client->remove(item(maps, name), own)));
  EXPECT_EQ(run(client->get(item(maps, name))).error().reason, ApiReason::not_found);
}

TEST_P(ApiContract, pod_that_no_node_has_goes_at_once_whatever_its_grace) {
  const std::string name = fresh("pod");
  const ApiResult<Object> created = create(pods, pod(name));
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(text_at(created->json, {"status", "phase"}), "Pending");
  RemoveOptions what;
  what.uid = created->uid();
  what.grace = Millis{30'000};
  ASSERT_TRUE(run(client->remove(item(pods, name), what)));
  EXPECT_EQ(run(client->get(item(pods, name))).error().reason, ApiReason::not_found);
}

TEST_P(ApiContract, log_of_a_pod_that_does_not_run_is_a_bad_request) {
  const std::string name = fresh("pod");
  ASSERT_TRUE(create(pods, pod(name)));
  LogQuery query;
  query.container = "app";
  // Without a node the real one has an empty log; with one, "is waiting to start".
  const ApiResult<std::string> log = run(client->log(item(pods, name), query));
  EXPECT_TRUE(log ? log->empty() : log.error().reason == ApiReason::bad_request);
  EXPECT_EQ(run(client->log(item(pods, fresh("none")), query)).error().reason, ApiReason::not_found);
}

TEST_P(ApiContract, list_comes_in_pages_and_only_what_was_selected) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(create(maps, config_map(fresh("map"))));
  Json foreign = config_map(fresh("map"));
  foreign["metadata"]["labels"]["run"] = "other";
  ASSERT_TRUE(create(maps, foreign));
  const ApiResult<ObjectList> paged = list(2);
  ASSERT_TRUE(paged) << paged.error().message;
  EXPECT_EQ(paged->items.size(), 5U);
  const ApiResult<ObjectList> whole = list(0);
  EXPECT_EQ(whole->items.size(), 5U);
  EXPECT_FALSE(whole->version.empty());
  Selection by_name;
  by_name.fields = "metadata.name=" + text_at(foreign, {"metadata", "name"});
  EXPECT_EQ(run(client->list(maps, by_name, 0))->items.size(), 1U);
}

TEST_P(ApiContract, watch_tells_what_happens_after_its_version_in_order) {
  const ApiResult<ObjectList> before = list(0);
  ASSERT_TRUE(before) << before.error().message;
  const std::string name = fresh("map");
  ASSERT_TRUE(create(maps, config_map(name)));
  const auto watch = run(client->watch(maps, ours(), before->version, Millis{60'000}));
  ASSERT_TRUE(watch) << watch.error().message;
  ASSERT_TRUE(run(client->patch(item(maps, name), PatchKind::merge, {{"data", {{"a", "1"}}}})));
  ASSERT_TRUE(run(client->remove(item(maps, name), {})));
  std::vector<Change> changes;
  while (changes.size() < 3) {
    const auto events = next(*watch);
    ASSERT_TRUE(events) << events.error().message;
    for (const WatchEvent& event : *events)
      if (event.change != Change::bookmark) changes.push_back(event.change);
  }
  EXPECT_THAT(changes, ElementsAre(Change::added, Change::modified, Change::deleted));
  (*watch)->cancel();
}

TEST_P(ApiContract, watch_ends_in_order_when_its_time_is_over) {
  const ApiResult<ObjectList> before = list(0);
  const auto watch = run(client->watch(maps, ours(), before->version, Millis{1'000}));
  ASSERT_TRUE(watch);
  for (;;) {
    const auto events = next(*watch);
    ASSERT_TRUE(events) << events.error().message;
    if (events->empty()) break;
    for (const WatchEvent& event : *events) EXPECT_EQ(event.change, Change::bookmark);
  }
}

// Of events, since the real one keeps no history of its own of those.
TEST_P(ApiContract, watch_from_a_version_that_is_too_old_is_gone) {
  ASSERT_TRUE(create(maps, config_map(fresh("map"))));
  api->forget_history();
  Selection all;
  const auto watch = run(client->watch(collection("events", api->name_space()), all, "1", Millis{5'000}));
  ASSERT_TRUE(watch) << watch.error().message;
  const auto events = next(*watch);
  ASSERT_FALSE(events);
  EXPECT_EQ(events.error().reason, ApiReason::gone) << events.error().message;
}

TEST_P(ApiContract, nobody_and_a_wrong_token_are_told_apart) {
  ClusterAccess access = api->access();
  access.certificate.clear();
  access.key.clear();
  access.token = "nonsense";
  ApiClient wrong(context.get_executor(), access, std::make_shared<ApiMetrics>());
  EXPECT_EQ(run(wrong.get(item(maps, "a"))).error().reason, ApiReason::unauthorized);
  access.token.clear();
  ApiClient nobody(context.get_executor(), access, std::make_shared<ApiMetrics>());
  const ApiResult<Object> refused = run(nobody.get(item(maps, "a")));
  EXPECT_EQ(refused.error().reason, ApiReason::forbidden);
  EXPECT_THAT(refused.error().message, HasSubstr("system:anonymous"));
}

// ctest registers what there is without a cluster; the group `kubernetes` runs the rest by itself.
std::vector<Maker> makers() {
  std::vector<Maker> all{{"stand_in", [] { return std::unique_ptr<Api>(std::make_unique<StandIn>()); }}};
  if (std::getenv("ALCOVE_TEST_KUBECONFIG") != nullptr)
    all.push_back({"cluster", [] { return std::unique_ptr<Api>(std::make_unique<Cluster>()); }});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, ApiContract, testing::ValuesIn(makers()),
                         [](const auto& maker) { return std::string(maker.param.name); });

}  // namespace
}  // namespace alcove::k8s
