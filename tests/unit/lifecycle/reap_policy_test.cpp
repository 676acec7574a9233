#include "lifecycle/reap_policy.hpp"

#include <gtest/gtest.h>

namespace alcove {
namespace {

Session ready_session(Millis idle, Millis lifetime, WallTime due) {
  Session session;
  session.state = State::ready;
  session.ready_since = from_unix_ms(1'000);
  session.policy.idle_timeout = idle;
  session.policy.max_lifetime = lifetime;
  session.due = due;
  return session;
}

TEST(ReapPolicy, ready_session_whose_idle_time_ended_drains_for_idle) {
  const ReapDecision decision = reap_decision(ready_session(Millis{100}, Millis{0}, from_unix_ms(1'100)));
  EXPECT_EQ(decision.step, ReapStep::drain);
  EXPECT_EQ(decision.cause, EndCause::idle);
}

TEST(ReapPolicy, idle_end_before_the_lifetime_end_is_idle) {
  const ReapDecision decision = reap_decision(ready_session(Millis{100}, Millis{500}, from_unix_ms(1'499)));
  EXPECT_EQ(decision.cause, EndCause::idle);
}

TEST(ReapPolicy, lifetime_end_cannot_be_rescued_so_it_wins_when_both_have_come) {
  const ReapDecision decision = reap_decision(ready_session(Millis{500}, Millis{500}, from_unix_ms(1'500)));
  EXPECT_EQ(decision.cause, EndCause::lifetime);
}

TEST(ReapPolicy, session_that_is_never_idle_still_ends_with_its_lifetime) {
  const ReapDecision decision = reap_decision(ready_session(Millis{0}, Millis{500}, from_unix_ms(1'500)));
  EXPECT_EQ(decision.cause, EndCause::lifetime);
}

TEST(ReapPolicy, draining_goes_on_to_stop_and_stopping_is_stopped_again) {
  Session session;
  session.state = State::draining;
  session.cause = EndCause::idle;
  EXPECT_EQ(reap_decision(session).step, ReapStep::begin_stop);
  session.state = State::stopping;
  EXPECT_EQ(reap_decision(session).step, ReapStep::stop_again);
}

TEST(ReapPolicy, states_without_a_pod_to_end_are_left_alone) {
  for (const State state : {State::absent, State::pending, State::starting, State::failed}) {
    Session session;
    session.state = state;
    EXPECT_EQ(reap_decision(session).step, ReapStep::none);
  }
}

TEST(ReapPolicy, only_forced_drains_are_pressing) {
  EXPECT_TRUE(pressing(State::draining, EndCause::deleted));
  EXPECT_TRUE(pressing(State::draining, EndCause::lifetime));
  EXPECT_FALSE(pressing(State::draining, EndCause::idle));
  EXPECT_FALSE(pressing(State::stopping, EndCause::deleted));
}

}  // namespace
}  // namespace alcove
