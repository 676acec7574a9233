#include "lifecycle/reconciler.hpp"

#include "tests/support/lifecycle_bench.hpp"

namespace alcove {
namespace {

using test::LifecycleBench;

Pod pod_of(Generation generation, const std::string& uid, bool ready = true) {
  Pod pod;
  pod.name = {SessionKey("demo", "ada"), generation};
  pod.uid = uid;
  pod.ready = ready;
  return pod;
}

Session record_of(State state, Generation generation, const std::string& uid = "") {
  Session session;
  session.key = SessionKey("demo", "ada");
  session.state = state;
  session.generation = generation;
  session.pod_uid = uid;
  return session;
}

TEST(Judge, pod_that_its_record_knows_is_fine) {
  EXPECT_EQ(judge(pod_of(3, "a"), record_of(State::ready, 3, "a")), PodVerdict::fine);
  EXPECT_EQ(judge(pod_of(3, "a"), record_of(State::draining, 3, "a")), PodVerdict::fine);
}

TEST(Judge, pod_whose_start_is_under_way_or_to_come_is_fine) {
  EXPECT_EQ(judge(pod_of(3, "a", false), record_of(State::pending, 3)), PodVerdict::fine);
  EXPECT_EQ(judge(pod_of(3, "a"), record_of(State::starting, 3)), PodVerdict::fine);
}

TEST(Judge, ready_pod_of_a_generation_that_nobody_has_started_yet_is_adopted) {
  EXPECT_EQ(judge(pod_of(3, "a"), record_of(State::pending, 3)), PodVerdict::adopt);
}

TEST(Judge, pod_of_an_older_generation_is_outlived) {
  for (const State state : {State::pending, State::starting, State::ready, State::absent})
    EXPECT_EQ(judge(pod_of(3, "a"), record_of(state, 4)), PodVerdict::outlived);
}

TEST(Judge, ready_pod_without_any_memory_of_it_is_adopted_and_an_unready_one_is_not) {
  EXPECT_EQ(judge(pod_of(3, "a"), record_of(State::absent, 0)), PodVerdict::adopt);
  EXPECT_EQ(judge(pod_of(3, "a", false), record_of(State::absent, 0)), PodVerdict::orphan);
}

TEST(Judge, ready_pod_whose_record_was_begun_anew_is_adopted_unless_another_serves) {
  for (const State state : {State::pending, State::starting, State::failed})
    EXPECT_EQ(judge(pod_of(3, "a"), record_of(state, 1)), PodVerdict::adopt);
  for (const State state : {State::ready, State::draining, State::stopping})
    EXPECT_EQ(judge(pod_of(3, "a"), record_of(state, 1, "b")), PodVerdict::orphan);
}

TEST(Judge, pod_that_was_meant_to_end_is_an_orphan) {
  EXPECT_EQ(judge(pod_of(3, "a"), record_of(State::absent, 3)), PodVerdict::orphan);
  EXPECT_EQ(judge(pod_of(3, "a"), record_of(State::failed, 3)), PodVerdict::orphan);
}

TEST(Judge, another_pod_of_the_same_name_is_an_orphan) {
  EXPECT_EQ(judge(pod_of(3, "a"), record_of(State::ready, 3, "b")), PodVerdict::orphan);
}

class ReconcilerTest : public testing::Test, public LifecycleBench {
 protected:
  Provisioner provisioner{context.get_executor(), store, runtime, settings, metrics};
  Reconciler reconciler{context.get_executor(), store, runtime, provisioner, settings, metrics};

  void round() {
    const auto done = test::run(context, reconciler.round());
    ASSERT_TRUE(done.has_value());
    EXPECT_TRUE(done->has_value());
  }
  void make_ready(const std::string& session, const std::string& uid) {
    const Session asked = ask(session);
    ClaimRequest claim;
    claim.provisioner = "test";
    ASSERT_TRUE(backend->claim(claim).has_value());
    ASSERT_TRUE(
        backend->publish_ready(asked.key, asked.generation, parse_endpoint("127.96.0.1:8080").value(), uid));
  }
};

TEST_F(ReconcilerTest, record_whose_pod_is_not_there_is_lost) {
  make_ready("demo/ada", "uid-1");
  round();
  EXPECT_EQ(state("demo/ada"), State::absent);
  EXPECT_EQ(record("demo/ada").cause, EndCause::lost);
  EXPECT_EQ(metrics->records_lost.get(), 1U);
}

TEST_F(ReconcilerTest, record_of_a_pod_that_the_list_does_not_have_yet_is_not_lost) {
  make_ready("demo/ada", "uid-1");
  runtime.unheard_of = {"uid-1"};
  round();
  EXPECT_EQ(state("demo/ada"), State::ready);
  EXPECT_EQ(metrics->records_lost.get(), 0U);
}

TEST_F(ReconcilerTest, record_and_pod_that_agree_are_left_alone) {
  make_ready("demo/ada", "uid-1");
  runtime.add_pod("demo/ada", 1, "uid-1");
  round();
  EXPECT_EQ(state("demo/ada"), State::ready);
  EXPECT_EQ(runtime.stopped, 0U);
}

TEST_F(ReconcilerTest, runtime_that_only_knows_what_it_is_told_is_told_before_its_pods_are_missed) {
  runtime.adopts = true;
  make_ready("demo/ada", "uid-1");
  round();
  EXPECT_EQ(state("demo/ada"), State::ready);
}

TEST_F(ReconcilerTest, record_of_a_pod_that_another_runtime_runs_is_not_judged) {
  make_ready("demo/ada", "uid-elsewhere");
  runtime.foreign.insert("uid-elsewhere");
  round();
  EXPECT_EQ(state("demo/ada"), State::ready);
}

TEST_F(ReconcilerTest, running_pod_gets_its_lost_record_back) {
  runtime.add_pod("demo/ada", 7, "uid-7");
  round();
  EXPECT_EQ(state("demo/ada"), State::ready);
  EXPECT_EQ(record("demo/ada").generation, 7U);
  EXPECT_EQ(record("demo/ada").pod_uid, "uid-7");
  EXPECT_EQ(record("demo/ada").user, "ada");
  EXPECT_EQ(record("demo/ada").policy.idle_timeout, Millis{60'000});
  EXPECT_EQ(metrics->pods_adopted.get(), 1U);
}

TEST_F(ReconcilerTest, of_several_pods_whose_record_was_lost_the_newest_is_adopted) {
  runtime.add_pod("demo/ada", 1, "uid-1");
  runtime.add_pod("demo/ada", 2, "uid-2");
  round();
  EXPECT_EQ(record("demo/ada").pod_uid, "uid-2");
  ASSERT_EQ(runtime.pods.size(), 1U);
  EXPECT_EQ(runtime.pods.front().uid, "uid-2");
}

TEST_F(ReconcilerTest, adopted_session_is_busy_while_a_gateway_that_is_cut_off_may_serve_it) {
  settings->outage.serve_known_for = Millis{120'000};  // longer than the idle time
  runtime.add_pod("demo/ada", 7, "uid-7");
  round();
  offset += Millis{61'000};
  const auto early = backend->drain(key("demo/ada"), 7, EndCause::idle);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, Errc::busy);
  offset += Millis{65'000};
  EXPECT_TRUE(backend->drain(key("demo/ada"), 7, EndCause::idle));
}

TEST_F(ReconcilerTest, late_list_does_not_take_the_pod_that_serves_under_the_same_name) {
  settings->reaper.orphan_grace = Millis{0};
  make_ready("demo/ada", "uid-new");
  runtime.unheard_of = {"uid-new"};
  runtime.add_pod("demo/ada", 1, "uid-old");
  round();
  EXPECT_EQ(runtime.stopped, 0U);
  EXPECT_EQ(state("demo/ada"), State::ready);
}

TEST_F(ReconcilerTest, own_pod_of_a_session_that_another_machine_serves_is_an_orphan) {
  settings->reaper.orphan_grace = Millis{0};
  make_ready("demo/ada", "uid-elsewhere");
  runtime.foreign = {"uid-elsewhere"};
  runtime.add_pod("demo/ada", 1, "uid-here");
  round();
  EXPECT_TRUE(runtime.pods.empty());
  EXPECT_EQ(state("demo/ada"), State::ready);
}

TEST_F(ReconcilerTest, orphan_is_removed_after_its_grace_and_not_before) {
  make_ready("demo/ada", "uid-1");
  ASSERT_TRUE(backend->lost(key("demo/ada"), 1, "uid-1", "test"));
  runtime.add_pod("demo/ada", 1, "uid-1");
  round();
  EXPECT_EQ(runtime.pods.size(), 1U);
  const SteadyTime seen = SteadyClock::now();
  ASSERT_TRUE(until([&] { return SteadyClock::now() - seen > settings->reaper.orphan_grace; }));
  round();
  EXPECT_TRUE(runtime.pods.empty());
  EXPECT_EQ(metrics->orphans_removed.get(), 1U);
}

TEST_F(ReconcilerTest, pod_of_an_app_that_left_the_config_is_an_orphan) {
  settings->reaper.orphan_grace = Millis{0};
  runtime.add_pod("gone/ada", 1, "uid-1");
  round();
  EXPECT_TRUE(runtime.pods.empty());
  EXPECT_EQ(state("gone/ada"), State::absent);
}

TEST_F(ReconcilerTest, pod_of_an_older_generation_is_removed_at_once) {
  make_ready("demo/ada", "uid-1");
  ASSERT_TRUE(backend->lost(key("demo/ada"), 1, "uid-1", "test"));
  make_ready("demo/ada", "uid-2");
  runtime.add_pod("demo/ada", 1, "uid-1");
  runtime.add_pod("demo/ada", 2, "uid-2");
  round();
  ASSERT_EQ(runtime.pods.size(), 1U);
  EXPECT_EQ(runtime.pods.front().uid, "uid-2");
  EXPECT_EQ(state("demo/ada"), State::ready);
}

TEST_F(ReconcilerTest, start_in_progress_is_neither_orphan_nor_lost) {
  settings->reaper.orphan_grace = Millis{0};
  runtime.at_once = false;
  bool ended = false;
  launch(context.get_executor(), provisioner.run(), [&](const std::exception_ptr&) { ended = true; });
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return provisioner.starting(key("demo/ada")); }));
  runtime.add_pod("demo/ada", 1, "half-started", false);
  round();
  EXPECT_EQ(runtime.pods.size(), 1U);
  EXPECT_EQ(state("demo/ada"), State::starting);
  provisioner.stop();
  EXPECT_TRUE(until([&] { return ended; }));
}

TEST_F(ReconcilerTest, store_that_is_away_makes_no_orphans) {
  settings->reaper.orphan_grace = Millis{0};
  runtime.add_pod("demo/ada", 1, "uid-1");
  store.away = true;
  const auto done = test::run(context, reconciler.round());
  ASSERT_TRUE(done.has_value());
  EXPECT_FALSE(done->has_value());
  EXPECT_EQ(runtime.pods.size(), 1U);
}

TEST_F(ReconcilerTest, gap_brings_the_next_round_forward) {
  bool ended = false;
  launch(context.get_executor(), reconciler.run(), [&](const std::exception_ptr&) { ended = true; });
  const std::size_t before = store.calls;
  ASSERT_TRUE(until([&] { return store.calls > before; }));
  make_ready("demo/ada", "uid-1");
  reconciler.on_gap();
  EXPECT_TRUE(until([&] { return state("demo/ada") == State::absent; }, Millis{2'000}));
  reconciler.stop();
  EXPECT_TRUE(until([&] { return ended; }));
}

TEST_F(ReconcilerTest, who_comes_to_an_emptied_store_gets_the_pod_that_runs_and_no_second_one) {
  runtime.add_pod("demo/ada", 3, "uid-3");
  ask("demo/ada");  // generation 1, queued before anybody has looked
  int ended = 0;
  const auto count = [&](const std::exception_ptr&) { ++ended; };
  launch(context.get_executor(), reconciler.run(), count);
  launch(context.get_executor(), provisioner.run(), count);
  EXPECT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  EXPECT_EQ(record("demo/ada").generation, 3U);
  EXPECT_EQ(record("demo/ada").pod_uid, "uid-3");
  EXPECT_EQ(runtime.started, 0U);
  reconciler.stop();
  provisioner.stop();
  EXPECT_TRUE(until([&] { return ended == 2; }));
}

}  // namespace
}  // namespace alcove
