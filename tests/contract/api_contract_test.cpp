// What Alcove relies on in the Kubernetes API, tried with the client against the stand-in and, in the group
// `kubernetes`, against a real API server, so that the one cannot drift from the other.
#include "tests/contract/api_bench.hpp"

#include <gmock/gmock.h>

namespace alcove::k8s {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

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

TEST_P(ApiContract, values_of_labels_and_annotations_are_text) {
  for (const char* where : {"labels", "annotations"}) {
    Json object = config_map(fresh("map"));
    object["metadata"][where]["number"] = 1;
    EXPECT_EQ(run(client->create(maps, object)).error().reason, ApiReason::bad_request) << where;
  }
}

TEST_P(ApiContract, container_needs_a_name_and_an_image) {
  for (const char* what : {"name", "image"}) {
    Json object = pod(fresh("pod"));
    object["spec"]["containers"][0][what] = "";
    const ApiResult<Object> refused = run(client->create(pods, object));
    EXPECT_EQ(refused.error().reason, ApiReason::invalid);
    EXPECT_THAT(refused.error().message, HasSubstr(std::string("spec.containers[0].") + what));
  }
}

TEST_P(ApiContract, dry_run_says_what_it_would_and_keeps_nothing) {
  const std::string name = fresh("map");
  const ApiResult<Object> tried = run(client->create(maps + "?dryRun=All", config_map(name)));
  ASSERT_TRUE(tried) << tried.error().message;
  EXPECT_EQ(tried->name(), name);
  EXPECT_EQ(run(client->get(item(maps, name))).error().reason, ApiReason::not_found);
  ASSERT_TRUE(create(maps, config_map(name)));
  EXPECT_EQ(run(client->create(maps + "?dryRun=All", config_map(name))).error().reason,
            ApiReason::already_exists);
  EXPECT_EQ(run(client->create(maps + "?dryRun=All", config_map("Not A Name"))).error().reason,
            ApiReason::invalid);
}

TEST_P(ApiContract, paths_and_methods_that_there_are_none_of) {
  EXPECT_EQ(run(client->get("/api/v1/namespaces/" + api->name_space() + "/nonsense")).error().reason,
            ApiReason::not_found);
  const ApiResult<Object> posted = run(client->create(item(maps, "a"), config_map("a")));
  EXPECT_EQ(posted.error().status, 405);
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

TEST_P(ApiContract, patch_that_changes_nothing_is_no_new_version_and_one_that_makes_no_sense_is_refused) {
  const std::string name = fresh("map");
  const ApiResult<Object> created = create(maps, config_map(name));
  ASSERT_TRUE(created);
  const Json same{{"metadata", {{"labels", {{"run", run_label}}}}}};
  EXPECT_EQ(run(client->patch(item(maps, name), PatchKind::merge, same))->version(), created->version());
  const Json bad{{"metadata", {{"labels", {{"run", "no label"}}}}}};
  EXPECT_EQ(run(client->patch(item(maps, name), PatchKind::merge, bad)).error().reason, ApiReason::invalid);
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

// Of a node that nobody has seen, so that no kubelet says that the pod has ended.
TEST_P(ApiContract, pod_that_has_a_node_is_marked_for_its_grace_and_goes_at_once_by_force) {
  const std::string name = fresh("pod");
  Json bound = pod(name);
  bound["spec"]["nodeName"] = "no-such-node";
  ASSERT_TRUE(create(pods, bound));
  RemoveOptions what;
  what.grace = Millis{20'000};
  const ApiResult<Object> ending = run(client->remove(item(pods, name), what));
  ASSERT_TRUE(ending) << ending.error().message;
  const ApiResult<Object> marked = run(client->get(item(pods, name)));
  ASSERT_TRUE(marked) << marked.error().message;
  for (const Object& object : {*ending, *marked}) {
    EXPECT_FALSE(text_at(object.json, {"metadata", "deletionTimestamp"}).empty());
    EXPECT_EQ(object.json["metadata"]["deletionGracePeriodSeconds"], 20);
  }
  RemoveOptions force;
  force.by_force = true;
  ASSERT_TRUE(run(client->remove(item(pods, name), force)));
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

TEST_P(ApiContract, list_refuses_selectors_and_limits_that_it_does_not_know) {
  Selection by_data;
  by_data.fields = "data.a=b";
  EXPECT_EQ(run(client->list(maps, by_data, 0)).error().reason, ApiReason::bad_request);
  EXPECT_EQ(run(client->get(maps + "?limit=many")).error().reason, ApiReason::bad_request);
  EXPECT_EQ(run(client->get(maps + "?limit=1&continue=nonsense")).error().reason, ApiReason::bad_request);
}

TEST_P(ApiContract, page_that_follows_one_that_is_too_old_is_gone) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(create(maps, config_map(fresh("map"))));
  const ApiResult<Object> first = run(client->get(maps + "?limit=1"));
  ASSERT_TRUE(first) << first.error().message;
  const std::string token = text_at(first->json, {"metadata", "continue"});
  ASSERT_FALSE(token.empty());
  ASSERT_TRUE(create(maps, config_map(fresh("map"))));
  api->forget_history();
  const ApiResult<Object> next = run(client->get(maps + "?limit=1&continue=" + token));
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().reason, ApiReason::gone);
  EXPECT_EQ(next.error().word, "Expired");
}

TEST_P(ApiContract, events_are_found_by_the_object_that_they_are_about) {
  const std::string events = collection("events", api->name_space());
  const std::string about = fresh("about");  // no pod's, of which others tell events
  for (const std::string& whom : {about, fresh("about")})
    ASSERT_TRUE(create(
        events, {{"apiVersion", "v1"},
                 {"kind", "Event"},
                 {"metadata", {{"name", fresh("event")}}},
                 {"involvedObject", {{"kind", "Pod"}, {"name", whom}, {"namespace", api->name_space()}}},
                 {"reason", "Tested"}}));
  Selection by_object;
  by_object.fields = "involvedObject.name=" + about;
  const ApiResult<ObjectList> found = run(client->list(events, by_object, 0));
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->items.size(), 1U);
  EXPECT_EQ(text_at(found->items[0].json, {"involvedObject", "name"}), about);
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

// With a bookmark before that, if there is news that is not for this watch. The real one sends it two seconds
// early.
TEST_P(ApiContract, watch_ends_in_order_when_its_time_is_over) {
  const ApiResult<ObjectList> before = list(0);
  const auto watch = run(client->watch(maps, ours(), before->version, Millis{5'000}));
  ASSERT_TRUE(watch);
  Json foreign = config_map(fresh("map"));
  foreign["metadata"]["labels"]["run"] = "other";
  const ApiResult<Object> newer = create(maps, foreign);
  ASSERT_TRUE(newer);
  std::vector<Change> changes;
  for (;;) {
    const auto events = next(*watch);
    ASSERT_TRUE(events) << events.error().message;
    if (events->empty()) break;
    for (const WatchEvent& event : *events) {
      changes.push_back(event.change);
      EXPECT_GE(std::stoull(event.object.version()), std::stoull(newer->version()));
    }
  }
  EXPECT_THAT(changes, AllOf(Not(IsEmpty()), Each(Change::bookmark)));
}

TEST_P(ApiContract, watch_from_a_version_that_is_none_is_refused) {
  const auto watch = run(client->watch(maps, ours(), "nonsense", Millis{5'000}));
  EXPECT_FALSE(watch);  // 1.20 says 500, later ones 400
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
  ApiClient wrong = by_token("nonsense");
  EXPECT_EQ(run(wrong.get(item(maps, "a"))).error().reason, ApiReason::unauthorized);
  ApiClient nobody = by_token("");
  const ApiResult<Object> refused = run(nobody.get(item(maps, "a")));
  EXPECT_EQ(refused.error().reason, ApiReason::forbidden);
  EXPECT_THAT(refused.error().message, HasSubstr("system:anonymous"));
}

INSTANTIATE_TEST_SUITE_P(All, ApiContract, testing::ValuesIn(makers()), name_of_maker);

}  // namespace
}  // namespace alcove::k8s
