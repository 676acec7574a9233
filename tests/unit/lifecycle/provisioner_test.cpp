#include "lifecycle/provisioner.hpp"

#include "tests/support/lifecycle_bench.hpp"

namespace alcove {
namespace {

using test::LifecycleBench;

class ProvisionerTest : public testing::Test, public LifecycleBench {
 protected:
  Provisioner provisioner{context.get_executor(), store, runtime, settings, metrics};
  bool ended = false;

  void go() {
    launch(context.get_executor(), provisioner.run(), [this](const std::exception_ptr&) { ended = true; });
  }
  void TearDown() override {
    provisioner.stop();
    EXPECT_TRUE(until([this] { return ended; }));
  }
  std::uint64_t count(StartOutcome outcome) {
    return metrics->starts[static_cast<std::size_t>(outcome)].get();
  }
};

TEST_F(ProvisionerTest, starts_what_was_asked_for_before_it_ran) {
  ask("demo/ada");
  go();
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  EXPECT_EQ(record("demo/ada").pod_uid, "uid-1");
  EXPECT_EQ(count(StartOutcome::ready), 1U);
}

TEST_F(ProvisionerTest, starts_at_once_when_a_push_says_pending) {
  go();
  ASSERT_TRUE(until([&] { return store.calls > 0; }));
  const SteadyTime asked = SteadyClock::now();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  EXPECT_LT(SteadyClock::now() - asked, Millis{900}) << "it waited for its slow timer";
}

TEST_F(ProvisionerTest, never_has_more_starts_in_progress_than_allowed) {
  settings->provisioner.starts_at_once = 3;
  runtime.at_once = false;
  for (int i = 0; i < 10; ++i) ask("demo/u" + std::to_string(i));
  go();
  ASSERT_TRUE(until([&] { return runtime.starting_now == 3; }));
  ASSERT_TRUE(until([&] {
    for (int i = 0; i < 10; ++i) runtime.finish_start("demo/u" + std::to_string(i));
    return runtime.started == 10;
  }));
  EXPECT_EQ(runtime.most_at_once, 3U);
}

TEST_F(ProvisionerTest, failed_start_is_published_with_its_reason_and_growing_pauses) {
  runtime.fails["demo/ada"] = "no such image";
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::failed; }));
  EXPECT_EQ(record("demo/ada").reason, "no such image");
  EXPECT_EQ(record("demo/ada").retry_at - record("demo/ada").changed, Millis{1'000});
  offset += Millis{1'100};
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return record("demo/ada").failures == 2; }));
  EXPECT_EQ(record("demo/ada").retry_at - record("demo/ada").changed, Millis{2'000});
  EXPECT_EQ(count(StartOutcome::failed), 2U);
}

TEST_F(ProvisionerTest, app_that_left_the_config_fails_with_its_name) {
  go();
  ask("gone/ada");
  ASSERT_TRUE(until([&] { return state("gone/ada") == State::failed; }));
  EXPECT_NE(record("gone/ada").reason.find("no app \"gone\""), std::string::npos);
}

TEST_F(ProvisionerTest, delete_during_a_start_cancels_it_and_leaves_nothing) {
  runtime.at_once = false;
  go();
  const Session asked = ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  ASSERT_TRUE(backend->drain(asked.key, asked.generation, EndCause::deleted));
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::absent; }));
  EXPECT_EQ(runtime.starting_now, 0U);
  EXPECT_TRUE(runtime.pods.empty());
  EXPECT_EQ(count(StartOutcome::cancelled), 1U);
}

TEST_F(ProvisionerTest, delete_while_the_ready_pod_waits_for_the_store_removes_the_pod) {
  runtime.at_once = false;
  go();
  const Session asked = ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  store.away = true;
  runtime.finish_start("demo/ada");
  ASSERT_TRUE(until([&] { return store.refused > 0; }));
  ASSERT_TRUE(backend->drain(asked.key, asked.generation, EndCause::deleted));
  store.away = false;
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::absent; }));
  EXPECT_TRUE(runtime.pods.empty());
  EXPECT_EQ(count(StartOutcome::stale), 1U);
}

TEST_F(ProvisionerTest, result_outlives_an_absence_of_the_store) {
  settings->provisioner.claim_lease = Millis{60'000};
  runtime.at_once = false;
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  store.away = true;
  runtime.finish_start("demo/ada");
  ASSERT_TRUE(until([&] { return store.refused >= 3; }));
  EXPECT_EQ(state("demo/ada"), State::starting);
  store.away = false;
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  EXPECT_EQ(runtime.started, 1U);
}

TEST_F(ProvisionerTest, publish_that_was_applied_but_not_answered_is_no_second_start) {
  store.lose_answers = true;
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return count(StartOutcome::ready) == 1; }));
  EXPECT_EQ(state("demo/ada"), State::ready);
  EXPECT_EQ(runtime.stopped, 0U);
}

TEST_F(ProvisionerTest, long_start_keeps_its_claim) {
  runtime.at_once = false;
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  const SteadyTime begun = SteadyClock::now();
  // Three times the lease: another provisioner asks all the while and must get nothing.
  ClaimRequest other;
  other.provisioner = "another";
  std::size_t stolen = 0;
  ASSERT_TRUE(until([&] {
    if (backend->claim(other)) ++stolen;
    return SteadyClock::now() - begun > Millis{900};
  }));
  EXPECT_EQ(stolen, 0U);
  runtime.finish_start("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
}

// The counterexamples of tests/model/start.pml. Where provisioners share a runtime a pod's name is the
// other's too.
TEST_F(ProvisionerTest, start_that_another_has_taken_over_goes_on_and_stops_no_pod) {
  runtime.at_once = false;
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  offset += Millis{60'000};
  ClaimRequest other;
  other.provisioner = "another";
  ASSERT_TRUE(backend->claim(other).has_value());
  const std::size_t calls = store.calls;
  ASSERT_TRUE(until([&] { return store.calls >= calls + 6; })) << "it has tried to renew, and looked";
  EXPECT_EQ(runtime.starting_now, 1U);
  EXPECT_EQ(state("demo/ada"), State::starting);
  runtime.finish_start("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  EXPECT_EQ(runtime.stopped, 0U);
}

TEST_F(ProvisionerTest, start_whose_session_has_ended_is_given_up_though_its_push_was_lost) {
  runtime.at_once = false;
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  store.unsubscribe(&provisioner);
  ASSERT_TRUE(backend->drain(key("demo/ada"), 1, EndCause::deleted));
  ASSERT_TRUE(until([&] { return count(StartOutcome::cancelled) == 1; }));
  EXPECT_EQ(state("demo/ada"), State::absent);
  EXPECT_TRUE(runtime.pods.empty());
}

TEST_F(ProvisionerTest, pod_that_came_too_late_does_not_take_another_of_its_name_with_it) {
  runtime.at_once = false;
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  offset += Millis{60'000};
  ClaimRequest other;
  other.provisioner = "another";
  ASSERT_TRUE(backend->claim(other).has_value());
  const Pod theirs = runtime.add_pod("demo/ada", 1, "uid-theirs");
  ASSERT_TRUE(backend->publish_ready(theirs.name.key, 1, theirs.endpoint, theirs.uid));
  runtime.finish_start("demo/ada");
  ASSERT_TRUE(
      until([&] { return count(StartOutcome::stale) == 1 && provisioner.starts_in_progress() == 0; }));
  EXPECT_EQ(runtime.stopped, 0U);
  EXPECT_EQ(record("demo/ada").pod_uid, "uid-theirs");
}

TEST_F(ProvisionerTest, who_gives_up_a_start_does_not_say_gone_of_anothers_pod) {
  runtime.at_once = false;
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  offset += Millis{60'000};
  ClaimRequest other;
  other.provisioner = "another";
  ASSERT_TRUE(backend->claim(other).has_value());
  ASSERT_TRUE(
      backend->publish_ready(key("demo/ada"), 1, parse_endpoint("127.96.0.9:8080").value(), "theirs"));
  ASSERT_TRUE(backend->drain(key("demo/ada"), 1, EndCause::lifetime));
  ASSERT_TRUE(backend->begin_stop(key("demo/ada"), 1));
  ASSERT_TRUE(until([&] { return provisioner.starts_in_progress() == 0; }));
  EXPECT_EQ(state("demo/ada"), State::stopping) << "its reaper has not said yet that nothing is left";
}

TEST_F(ProvisionerTest, pod_whose_record_was_lost_is_left_to_be_adopted) {
  runtime.at_once = false;
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  // Ended and long forgotten before anybody heard of it: what an emptied store looks like.
  store.unsubscribe(&provisioner);
  ASSERT_TRUE(backend->drain(key("demo/ada"), 1, EndCause::deleted));
  ASSERT_TRUE(backend->gone(key("demo/ada"), 1));
  offset += Millis{8 * 24 * 3'600'000};
  ASSERT_EQ(record("demo/ada").generation, 0U);
  runtime.finish_start("demo/ada");
  ASSERT_TRUE(
      until([&] { return count(StartOutcome::stale) == 1 && provisioner.starts_in_progress() == 0; }));
  EXPECT_EQ(runtime.stopped, 0U);
  EXPECT_EQ(runtime.pods.size(), 1U);
}

TEST_F(ProvisionerTest, start_of_a_dead_provisioner_is_taken_over) {
  ask("demo/ada");
  ClaimRequest dead;
  dead.provisioner = "dead";
  dead.lease = Millis{30};
  ASSERT_TRUE(backend->claim(dead).has_value());
  go();
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  EXPECT_EQ(record("demo/ada").generation, 1U);
}

TEST_F(ProvisionerTest, pod_that_dies_is_reported_lost_with_the_reason_even_if_the_store_is_away) {
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  store.away = true;
  runtime.die("demo/ada", "exited with code 3");
  ASSERT_TRUE(until([&] { return store.refused >= 2; }));
  store.away = false;
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::absent; }));
  EXPECT_EQ(record("demo/ada").cause, EndCause::lost);
  EXPECT_EQ(record("demo/ada").reason, "exited with code 3");
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  EXPECT_EQ(record("demo/ada").generation, 2U);
}

TEST_F(ProvisionerTest, pod_that_dies_before_it_is_published_does_not_stay_ready) {
  runtime.at_once = false;
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  store.away = true;
  runtime.finish_start("demo/ada");
  ASSERT_TRUE(until([&] { return store.refused > 0; }));
  runtime.die("demo/ada", "exited with code 3");
  store.away = false;
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::absent; }));
  EXPECT_EQ(record("demo/ada").reason, "exited with code 3");
}

TEST_F(ProvisionerTest, pod_that_is_being_evicted_is_lost_at_once) {
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  runtime.begin_to_die("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::absent; }));
  EXPECT_EQ(record("demo/ada").reason, "is being evicted");
}

TEST_F(ProvisionerTest, pod_that_a_reaper_elsewhere_is_stopping_is_the_reapers) {
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  ASSERT_TRUE(backend->drain(key("demo/ada"), 1, EndCause::deleted));
  ASSERT_TRUE(backend->begin_stop(key("demo/ada"), 1));
  ask("demo/ada");  // wants the next generation, which must wait for the end of this one
  store.away = true;
  runtime.begin_to_die("demo/ada");
  ASSERT_TRUE(until([&] { return store.refused > 0; }));
  store.away = false;
  const std::size_t calls = store.calls;
  ASSERT_TRUE(until([&] { return store.calls > calls; }));
  EXPECT_EQ(state("demo/ada"), State::stopping);
  EXPECT_EQ(record("demo/ada").generation, 1U);
}

TEST_F(ProvisionerTest, stop_gives_unfinished_starts_back_to_the_queue) {
  settings->provisioner.claim_lease = Millis{60'000};
  runtime.at_once = false;
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return runtime.starting_now == 1; }));
  provisioner.stop();
  ASSERT_TRUE(until([&] { return ended; }));
  EXPECT_EQ(state("demo/ada"), State::starting);
  ClaimRequest next;
  next.provisioner = "next";
  EXPECT_TRUE(until([&] { return backend->claim(next).has_value(); }, Millis{500}))
      << "it waits for the old lease";
}

TEST_F(ProvisionerTest, tells_the_runtime_what_the_store_holds_before_the_first_start) {
  ask("demo/ada");
  ClaimRequest earlier;
  earlier.provisioner = "earlier";
  ASSERT_TRUE(backend->claim(earlier).has_value());
  ASSERT_TRUE(
      backend->publish_ready(key("demo/ada"), 1, parse_endpoint("127.0.1.1:9000").value(), "uid-old"));
  ask("demo/grace");
  store.away = true;
  go();
  ASSERT_TRUE(until([&] { return store.refused > 0; }));
  store.away = false;
  ASSERT_TRUE(until([&] { return state("demo/grace") == State::ready; }));
  ASSERT_EQ(runtime.adopted_sessions.size(), 1U);
  EXPECT_EQ(runtime.adopted_sessions.front().pod_uid, "uid-old");
}

TEST_F(ProvisionerTest, tells_the_runtime_which_pods_a_reaper_elsewhere_has_ended) {
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  ASSERT_TRUE(backend->drain(key("demo/ada"), 1, EndCause::deleted));
  ASSERT_TRUE(backend->begin_stop(key("demo/ada"), 1));
  ASSERT_TRUE(backend->gone(key("demo/ada"), 1));
  const PodName ended_pod{key("demo/ada"), 1};
  EXPECT_TRUE(
      until([&] { return !runtime.released_pods.empty() && runtime.released_pods.back() == ended_pod; }));
}

TEST_F(ProvisionerTest, handing_back_tells_the_store_that_the_pods_are_gone) {
  go();
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::ready; }));
  provisioner.stop();
  ASSERT_TRUE(until([&] { return ended; }));
  test::run(context, provisioner.hand_back());
  EXPECT_EQ(state("demo/ada"), State::absent);
  EXPECT_EQ(record("demo/ada").reason, "alcove was shut down");
}

}  // namespace
}  // namespace alcove
