// The life of one session, transition by transition: docs/architecture.md, "The life of a session".
#include "tests/contract/store_bench.hpp"

namespace alcove::test {
namespace {

class StoreLife : public StoreTest {};
INSTANTIATE_TEST_SUITE_P(On, StoreLife, ::testing::Values(Kind::memory, Kind::redis), kind_name);

TEST_P(StoreLife, unknown_session_is_absent_in_generation_0) {
  const Session s = lookup("notebook/ada");
  EXPECT_EQ(s.state, State::absent);
  EXPECT_EQ(s.generation, 0U);
  EXPECT_EQ(s.key.text(), "notebook/ada");
  EXPECT_TRUE(get(store->list("", 10)).sessions.empty()) << "a lookup leaves no trace";
}

TEST_P(StoreLife, acquire_creates_generation_1_with_all_that_was_asked) {
  policy = {Millis{1'234}, Millis{56'789}, Millis{321}, Millis{654}};
  AcquireRequest asked = request("notebook/ada");
  asked.user = "Ada Lovelace <ada@example.com> \xE2\x9C\x93";
  const Session created = get(store->acquire(asked));
  const Session found = lookup("notebook/ada");
  for (const Session* s : {&created, &found}) {
    EXPECT_EQ(s->state, State::pending);
    EXPECT_EQ(s->generation, 1U);
    EXPECT_EQ(s->app, "notebook");
    EXPECT_EQ(s->user, asked.user);
    EXPECT_EQ(s->cause, EndCause::none);
    EXPECT_EQ(s->policy.idle_timeout, Millis{1'234});
    EXPECT_EQ(s->policy.max_lifetime, Millis{56'789});
    EXPECT_EQ(s->policy.drain_grace, Millis{321});
    EXPECT_EQ(s->policy.stop_grace, Millis{654});
    EXPECT_EQ(s->created, s->changed);
    EXPECT_EQ(s->created, s->last_activity);
    EXPECT_EQ(s->activity, "acquire");
    EXPECT_LT(std::chrono::abs(s->created - wall_now()), std::chrono::minutes(1));
  }
}

TEST_P(StoreLife, whole_life_from_pending_to_absent) {
  acquire("notebook/ada");
  const auto claimed = claim();
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->state, State::starting);
  EXPECT_EQ(claimed->generation, 1U);

  const Session ready = get(store->publish_ready(claimed->key, 1, endpoint(), "uid-1"));
  EXPECT_EQ(ready.state, State::ready);
  EXPECT_EQ(ready.endpoint, endpoint());
  EXPECT_EQ(ready.pod_uid, "uid-1");
  EXPECT_EQ(ready.ready_since, ready.changed);
  EXPECT_EQ(ready.due, ready.ready_since + policy.idle_timeout);

  const Session draining = get(store->drain(ready.key, 1, EndCause::lifetime));
  EXPECT_EQ(draining.state, State::draining);
  EXPECT_EQ(draining.cause, EndCause::lifetime);
  EXPECT_EQ(draining.endpoint, endpoint()) << "the pod is still there";

  const Session stopping = get(store->begin_stop(ready.key, 1));
  EXPECT_EQ(stopping.state, State::stopping);
  EXPECT_EQ(stopping.pod_uid, "uid-1");
  EXPECT_GT(stopping.due, stopping.changed + policy.stop_grace);

  const Session gone = get(store->gone(ready.key, 1));
  EXPECT_EQ(gone.state, State::absent);
  EXPECT_EQ(gone.generation, 1U);
  EXPECT_EQ(gone.cause, EndCause::lifetime) << "it can say why it ended";
  EXPECT_EQ(gone.pod_uid, "");
  EXPECT_EQ(gone.endpoint, Endpoint());
  EXPECT_TRUE(get(store->list("", 10)).sessions.empty());
  EXPECT_TRUE(get(store->due(10)).empty());

  EXPECT_EQ(acquire("notebook/ada").generation, 2U) << "generations go on growing";
}

TEST_P(StoreLife, acquire_of_a_ready_session_marks_activity_and_keeps_everything_else) {
  const Session before = make_ready("notebook/ada");
  policy.idle_timeout = Millis{1};
  ASSERT_TRUE(eventually([&] { return acquire("notebook/ada").last_activity > before.ready_since; }));
  const Session after = lookup("notebook/ada");
  EXPECT_EQ(after.state, State::ready);
  EXPECT_EQ(after.generation, 1U);
  EXPECT_EQ(after.pod_uid, "uid-1");
  EXPECT_EQ(after.policy.idle_timeout, before.policy.idle_timeout) << "a policy belongs to its generation";
  EXPECT_GT(after.due, before.due);
}

TEST_P(StoreLife, failed_start_is_remembered_until_retry_at_then_tried_again) {
  acquire("notebook/ada");
  ASSERT_TRUE(claim());
  const std::string reason = "exited with code 3:\n\tno such file\t\"x\"";
  const Session failed = get(store->publish_failed(key_of("notebook/ada"), 1, reason, Millis{40}));
  EXPECT_EQ(failed.state, State::failed);
  EXPECT_EQ(failed.cause, EndCause::failed);
  EXPECT_EQ(failed.reason, reason);
  EXPECT_EQ(failed.failures, 1U);
  EXPECT_EQ(failed.retry_at, failed.changed + Millis{40});
  EXPECT_FALSE(claim()) << "nothing is queued";

  Session again;
  ASSERT_TRUE(eventually([&] {
    again = acquire("notebook/ada");
    return again.state != State::failed;
  }));
  EXPECT_GE(again.created, failed.retry_at) << "no new start before";
  EXPECT_EQ(again.state, State::pending);
  EXPECT_EQ(again.generation, 2U);
  EXPECT_EQ(again.failures, 1U) << "in a row";
  EXPECT_EQ(again.reason, "");

  ASSERT_TRUE(claim());
  EXPECT_EQ(get(store->publish_failed(key_of("notebook/ada"), 2, "again", Millis{0})).failures, 2U);
  acquire("notebook/ada");
  ASSERT_TRUE(claim());
  EXPECT_EQ(get(store->publish_ready(key_of("notebook/ada"), 3, endpoint(), "u")).failures, 0U);
}

TEST_P(StoreLife, calls_about_another_generation_or_state_are_stale_and_change_nothing) {
  const SessionKey key = key_of("notebook/ada");
  const auto refused_everywhere = [&](Generation generation, const std::string& uid) {
    const Session before = lookup("notebook/ada");
    EXPECT_EQ(refusal(store->publish_ready(key, generation, endpoint(1), uid)), Errc::stale);
    EXPECT_EQ(refusal(store->publish_failed(key, generation, "r", Millis{1})), Errc::stale);
    EXPECT_EQ(refusal(store->lost(key, generation, uid, "r")), Errc::stale);
    EXPECT_EQ(refusal(store->drain(key, generation, EndCause::idle)), Errc::stale);
    EXPECT_EQ(refusal(store->drain(key, generation, EndCause::lifetime)), Errc::stale);
    EXPECT_EQ(refusal(store->drain(key, generation, EndCause::deleted)), Errc::stale);
    EXPECT_EQ(refusal(store->begin_stop(key, generation)), Errc::stale);
    EXPECT_EQ(refusal(store->gone(key, generation)), Errc::stale);
    const Session after = lookup("notebook/ada");
    EXPECT_EQ(after.state, before.state);
    EXPECT_EQ(after.generation, before.generation);
    EXPECT_EQ(after.changed, before.changed);
    EXPECT_EQ(after.reason, before.reason);
    EXPECT_EQ(after.pod_uid, before.pod_uid);
  };
  refused_everywhere(0, "u");
  refused_everywhere(1, "u");
  make_stopping("notebook/ada");
  get(store->gone(key, 1));
  refused_everywhere(1, "uid-1");  // absent
  acquire("notebook/ada");
  refused_everywhere(1, "uid-1");  // pending 2
  ASSERT_TRUE(claim());
  refused_everywhere(1, "uid-1");  // starting 2
  refused_everywhere(3, "uid-1");
  get(store->publish_ready(key, 2, endpoint(), "uid-2"));
  refused_everywhere(1, "uid-1");  // ready 2
  get(store->drain(key, 2, EndCause::lifetime));
  refused_everywhere(1, "uid-1");  // draining 2
  get(store->begin_stop(key, 2));
  refused_everywhere(1, "uid-1");  // stopping 2
}

TEST_P(StoreLife, publish_and_gone_are_refused_in_the_wrong_state_of_the_right_generation) {
  const SessionKey key = key_of("notebook/ada");
  acquire("notebook/ada");
  EXPECT_EQ(refusal(store->publish_ready(key, 1, endpoint(), "u")), Errc::stale) << "nobody has claimed it";
  EXPECT_EQ(refusal(store->publish_failed(key, 1, "r", Millis{1})), Errc::stale);
  EXPECT_EQ(refusal(store->gone(key, 1)), Errc::stale);
  ASSERT_TRUE(claim());
  EXPECT_EQ(refusal(store->begin_stop(key, 1)), Errc::stale);
  EXPECT_EQ(refusal(store->lost(key, 1, "u", "r")), Errc::stale);
  get(store->publish_ready(key, 1, endpoint(), "u"));
  EXPECT_EQ(refusal(store->begin_stop(key, 1)), Errc::stale) << "it was not drained";
  EXPECT_EQ(refusal(store->gone(key, 1)), Errc::stale);
  EXPECT_EQ(refusal(store->publish_failed(key, 1, "r", Millis{1})), Errc::stale);
}

TEST_P(StoreLife, publish_ready_told_again_is_fine_and_of_another_pod_is_stale) {
  const Session ready = make_ready("notebook/ada", "uid-1");
  const Session again = get(store->publish_ready(ready.key, 1, endpoint(), "uid-1"));
  EXPECT_EQ(again.ready_since, ready.ready_since);
  EXPECT_EQ(refusal(store->publish_ready(ready.key, 1, endpoint(), "uid-2")), Errc::stale);
  EXPECT_EQ(refusal(store->publish_ready(ready.key, 1, endpoint(9001), "uid-1")), Errc::stale);
}

TEST_P(StoreLife, pod_uid_must_be_a_clean_word) {
  acquire("notebook/ada");
  ASSERT_TRUE(claim());
  for (const std::string& uid :
       {std::string(), std::string("a\tb"), std::string("a\n"), std::string(300, 'x')})
    EXPECT_EQ(refusal(store->publish_ready(key_of("notebook/ada"), 1, endpoint(), uid)), Errc::invalid);
}

TEST_P(StoreLife, lost_pod_makes_a_ready_session_absent_and_the_next_acquire_starts_anew) {
  make_ready("notebook/ada");
  EXPECT_EQ(refusal(store->lost(key_of("notebook/ada"), 1, "another-uid", "r")), Errc::stale);
  const Session lost = get(store->lost(key_of("notebook/ada"), 1, "uid-1", "exited with code 9"));
  EXPECT_EQ(lost.state, State::absent);
  EXPECT_EQ(lost.cause, EndCause::lost);
  EXPECT_EQ(lost.reason, "exited with code 9");
  const Session next = acquire("notebook/ada");
  EXPECT_EQ(next.state, State::pending);
  EXPECT_EQ(next.generation, 2U);
}

TEST_P(StoreLife, lost_pod_of_an_idle_drain_is_absent_and_of_a_forced_one_as_gone) {
  policy.idle_timeout = Millis{1};
  make_idle_drain("notebook/ada");
  EXPECT_EQ(get(store->lost(key_of("notebook/ada"), 1, "uid-1", "r")).cause, EndCause::lost);

  make_ready("notebook/bob");
  get(store->drain(key_of("notebook/bob"), 1, EndCause::lifetime));
  const Session gone = get(store->lost(key_of("notebook/bob"), 1, "uid-1", "r"));
  EXPECT_EQ(gone.state, State::absent);
  EXPECT_EQ(gone.cause, EndCause::lifetime);

  make_stopping("notebook/eve");
  acquire("notebook/eve");
  const Session next = get(store->lost(key_of("notebook/eve"), 1, "uid-1", "r"));
  EXPECT_EQ(next.state, State::pending);
  EXPECT_EQ(next.generation, 2U);
}

TEST_P(StoreLife, acquire_while_stopping_is_wanted_and_gone_queues_the_next_generation) {
  make_stopping("notebook/ada");
  policy.idle_timeout = Millis{77};
  const Session wanted = acquire("notebook/ada");
  EXPECT_EQ(wanted.state, State::stopping);
  EXPECT_TRUE(wanted.wanted);
  EXPECT_FALSE(claim()) << "the pod is not gone yet";
  const Session next = get(store->gone(key_of("notebook/ada"), 1));
  EXPECT_EQ(next.state, State::pending);
  EXPECT_EQ(next.generation, 2U);
  EXPECT_FALSE(next.wanted);
  EXPECT_EQ(next.cause, EndCause::none);
  EXPECT_EQ(next.policy.idle_timeout, Millis{77}) << "the policy of who wanted it";
  const auto claimed = claim();
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->generation, 2U);
}

TEST_P(StoreLife, acquire_during_a_forced_drain_is_wanted_not_rescued) {
  const Session ready = make_ready("notebook/ada");
  get(store->drain(ready.key, 1, EndCause::deleted));
  const Session wanted = acquire("notebook/ada");
  EXPECT_EQ(wanted.state, State::draining);
  EXPECT_TRUE(wanted.wanted);
  EXPECT_TRUE(get(store->begin_stop(ready.key, 1)).wanted);
  EXPECT_EQ(get(store->gone(ready.key, 1)).state, State::pending);
}

TEST_P(StoreLife, deleted_ends_a_session_in_each_state) {
  const SessionKey key = key_of("notebook/ada");
  acquire("notebook/ada");
  const Session unqueued = get(store->drain(key, 1, EndCause::deleted));
  EXPECT_EQ(unqueued.state, State::absent);
  EXPECT_EQ(unqueued.cause, EndCause::deleted);
  EXPECT_FALSE(claim()) << "it has left the queue";
  EXPECT_EQ(get(store->place(key)).queued, 0U);

  acquire("notebook/ada");
  ASSERT_TRUE(claim("p1"));
  EXPECT_EQ(get(store->drain(key, 2, EndCause::deleted)).state, State::stopping);
  const auto lost_claims = get(store->renew("p1", Millis{30'000}, {key}));
  EXPECT_EQ(lost_claims, std::vector<SessionKey>{key}) << "the provisioner sees it and gives up";
  EXPECT_EQ(refusal(store->publish_ready(key, 2, endpoint(), "u")), Errc::stale);
  EXPECT_EQ(get(store->gone(key, 2)).state, State::absent);

  acquire("notebook/ada");
  ASSERT_TRUE(claim());
  get(store->publish_failed(key, 3, "r", Millis{60'000}));
  const Session forgiven = get(store->drain(key, 3, EndCause::deleted));
  EXPECT_EQ(forgiven.state, State::absent);
  EXPECT_EQ(acquire("notebook/ada").generation, 4U) << "no back-off after a delete";

  ASSERT_TRUE(claim());
  get(store->publish_ready(key, 4, endpoint(), "u"));
  get(store->drain(key, 4, EndCause::lifetime));
  const Session deleted = get(store->drain(key, 4, EndCause::deleted));
  EXPECT_EQ(deleted.state, State::draining);
  EXPECT_EQ(deleted.cause, EndCause::deleted);
  EXPECT_EQ(refusal(store->drain(key, 4, EndCause::deleted)), Errc::stale);
}

TEST_P(StoreLife, drain_for_another_cause_is_refused) {
  make_ready("notebook/ada");
  for (const EndCause cause : {EndCause::none, EndCause::lost, EndCause::failed})
    EXPECT_EQ(refusal(store->drain(key_of("notebook/ada"), 1, cause)), Errc::invalid);
}

TEST_P(StoreLife, adopt_makes_a_missing_record_ready_in_the_pods_generation) {
  Session pod;
  pod.key = key_of("notebook/ada");
  pod.app = "notebook";
  pod.user = "ada";
  pod.generation = 7;
  pod.endpoint = endpoint();
  pod.pod_uid = "uid-7";
  const Session adopted = get(store->adopt(pod));
  EXPECT_EQ(adopted.state, State::ready);
  EXPECT_EQ(adopted.generation, 7U);
  EXPECT_EQ(adopted.endpoint, endpoint());
  EXPECT_EQ(adopted.user, "ada");
  EXPECT_EQ(adopted.due, adopted.ready_since + pod.policy.idle_timeout);
  EXPECT_EQ(get(store->adopt(pod)).ready_since, adopted.ready_since) << "told again";
  EXPECT_EQ(acquire("notebook/ada").state, State::ready);

  pod.pod_uid = "uid-other";
  EXPECT_EQ(refusal(store->adopt(pod)), Errc::stale);
  pod.generation = 8;
  EXPECT_EQ(refusal(store->adopt(pod)), Errc::stale);
}

TEST_P(StoreLife, adopt_is_refused_where_a_record_knows_better) {
  Session pod;
  pod.key = key_of("notebook/ada");
  pod.generation = 1;
  pod.endpoint = endpoint();
  pod.pod_uid = "uid-1";
  acquire("notebook/ada");
  get(store->drain(pod.key, 1, EndCause::deleted));
  EXPECT_EQ(refusal(store->adopt(pod)), Errc::stale) << "absent, but it remembers that this pod was ended";
  make_ready("notebook/bob");
  acquire("notebook/ada");
  EXPECT_EQ(refusal(store->adopt(pod)), Errc::stale) << "pending, in a later generation";
  pod.key = key_of("notebook/bob");
  pod.generation = 9;
  EXPECT_EQ(refusal(store->adopt(pod)), Errc::stale) << "another pod serves";
}

TEST_P(StoreLife, adopt_takes_the_place_of_a_start_that_began_before_the_pod_was_found) {
  Session pod;
  pod.generation = 3;
  pod.endpoint = endpoint();
  pod.pod_uid = "uid-3";
  for (const std::string name : {"pending", "starting", "failed"}) {
    pod.key = key_of("notebook/" + name);
    acquire(pod.key.text());
    if (name != "pending") {
      ASSERT_TRUE(claim());
    }
    if (name == "failed") get(store->publish_failed(pod.key, 1, "no room", Millis{60'000}));
    const Session adopted = get(store->adopt(pod));
    EXPECT_EQ(adopted.state, State::ready) << name;
    EXPECT_EQ(adopted.generation, 3U) << name;
    EXPECT_EQ(adopted.retry_at, WallTime{}) << name;
    EXPECT_FALSE(claim()) << "nothing is queued any more: " << name;
    EXPECT_EQ(refusal(store->publish_ready(pod.key, 1, endpoint(), "uid-1")), Errc::stale) << name;
    EXPECT_EQ(acquire(pod.key.text()).pod_uid, "uid-3") << name;
  }
}

TEST_P(StoreLife, adopt_takes_the_place_of_a_queued_start_of_the_same_generation) {
  Session pod;
  pod.key = key_of("notebook/ada");
  pod.generation = 1;
  pod.endpoint = endpoint();
  pod.pod_uid = "uid-1";
  acquire("notebook/ada");
  EXPECT_EQ(get(store->adopt(pod)).state, State::ready);
  EXPECT_FALSE(claim()) << "nothing is queued any more";
}

TEST_P(StoreLife, pinned_session_never_gets_idle_until_unpinned) {
  policy.idle_timeout = Millis{1};
  EXPECT_EQ(refusal(store->pin(key_of("notebook/ada"), true)), Errc::not_found);
  const Session draining = make_idle_drain("notebook/ada");
  ASSERT_EQ(draining.state, State::draining);
  const Session pinned = get(store->pin(draining.key, true));
  EXPECT_EQ(pinned.state, State::ready) << "a pin rescues";
  EXPECT_TRUE(pinned.pinned);
  EXPECT_EQ(pinned.due, WallTime{});
  EXPECT_EQ(refusal(store->drain(draining.key, 1, EndCause::idle)), Errc::busy);
  EXPECT_TRUE(get(store->due(10)).empty());
  get(store->pin(draining.key, false));
  EXPECT_TRUE(eventually([&] { return get(store->due(10)).size() == 1; }));
  EXPECT_FALSE(refusal(store->drain(draining.key, 1, EndCause::idle)));
}

TEST_P(StoreLife, list_pages_through_everything_that_is_not_absent_once) {
  std::vector<std::string> expected;
  for (int i = 0; i < 25; ++i) {
    expected.push_back("app" + std::to_string(i % 3) + "/user" + std::to_string(i));
    acquire(expected.back());
  }
  acquire("app0/leaver");
  get(store->drain(key_of("app0/leaver"), 1, EndCause::deleted));
  std::vector<std::string> found;
  std::string cursor;
  int pages = 0;
  do {
    const Store::Page page = get(store->list(cursor, 10));
    EXPECT_LE(page.sessions.size(), 10U);
    for (const Session& s : page.sessions) found.push_back(s.key.text());
    cursor = page.cursor;
    ++pages;
  } while (!cursor.empty() && pages < 100);
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, expected);
  EXPECT_EQ(pages, 3);
}

TEST_P(StoreLife, closed_store_cancels) {
  store->close();
  EXPECT_FALSE(store->connected());
  EXPECT_EQ(refusal(store->lookup(key_of("notebook/ada"))), Errc::cancelled);
  EXPECT_EQ(refusal(store->acquire(request("notebook/ada"))), Errc::cancelled);
  EXPECT_EQ(refusal(store->claim(ClaimRequest{"p", 1, Millis{1}})), Errc::cancelled);
}

TEST_P(StoreLife, who_may_not_start_finds_what_runs_and_wakes_nothing) {
  AcquireRequest shy = request("notebook/ada");
  shy.may_start = false;
  EXPECT_EQ(get(store->acquire(shy)).state, State::absent);
  EXPECT_FALSE(claim().has_value());
  EXPECT_EQ(acquire("notebook/ada").state, State::pending);
  EXPECT_EQ(get(store->acquire(shy)).state, State::pending) << "what starts anyway is waited for";
  claim();
  const Session ready =
      get(store->publish_ready(shy.key, 1, parse_endpoint("127.0.0.2:8080").value(), "uid-1"));
  EXPECT_EQ(get(store->acquire(shy)).state, State::ready);
  get(store->drain(ready.key, 1, EndCause::deleted));
  EXPECT_FALSE(get(store->acquire(shy)).wanted);
  get(store->begin_stop(ready.key, 1));
  EXPECT_FALSE(get(store->acquire(shy)).wanted);
  EXPECT_EQ(get(store->gone(ready.key, 1)).state, State::absent);
  EXPECT_EQ(get(store->acquire(shy)).state, State::absent);
}

TEST_P(StoreLife, what_was_lost_in_use_is_started_for_anyone_and_what_was_long_idle_is_not) {
  AcquireRequest shy = request("notebook/ada");
  shy.may_start = false;
  const Session ready = make_ready("notebook/ada");
  get(store->lost(ready.key, 1, ready.pod_uid, "it crashed"));
  EXPECT_EQ(get(store->acquire(shy)).state, State::pending);
  ASSERT_TRUE(claim().has_value());
  policy.idle_timeout = Millis{1};
  AcquireRequest later = request("notebook/bob");
  later.may_start = false;
  const Session bob = make_ready("notebook/bob");
  get(store->lost(bob.key, 1, bob.pod_uid, "it crashed"));
  ASSERT_TRUE(eventually([&] { return wall_now() > bob.ready_since + Millis{100}; }));
  EXPECT_EQ(get(store->acquire(later)).state, State::absent);
}

}  // namespace
}  // namespace alcove::test
