// Idleness, drains, rescue, and when a stop may begin: nothing that a gateway may still be serving is
// evicted.
#include "tests/contract/store_bench.hpp"

namespace alcove::test {
namespace {

class StoreDrain : public StoreTest {};
INSTANTIATE_TEST_SUITE_P(On, StoreDrain, ::testing::Values(Kind::memory, Kind::redis), kind_name);

bool lists(const BeatReply& reply, const SessionKey& key, Generation generation) {
  return std::find(reply.draining.begin(), reply.draining.end(), std::pair(key, generation)) !=
         reply.draining.end();
}

TEST_P(StoreDrain, idle_drain_is_refused_until_the_idle_time_is_over) {
  policy.idle_timeout = Millis{250};
  const Session ready = make_ready("notebook/ada");
  WallTime drained_at;
  int refusals = 0;
  ASSERT_TRUE(eventually([&] {
    const auto result = run(store->drain(ready.key, 1, EndCause::idle));
    if (!result) {
      EXPECT_EQ(result.error().code, Errc::busy);
      ++refusals;
      return false;
    }
    drained_at = result.value().changed;
    return true;
  }));
  EXPECT_GE(drained_at, ready.ready_since + policy.idle_timeout);
  EXPECT_GT(refusals, 0);
}

TEST_P(StoreDrain, session_without_idle_timeout_is_never_due_nor_idle) {
  policy.idle_timeout = Millis{0};
  const Session ready = make_ready("notebook/ada");
  EXPECT_EQ(ready.due, WallTime{});
  EXPECT_EQ(refusal(store->drain(ready.key, 1, EndCause::idle)), Errc::busy);
}

TEST_P(StoreDrain, due_lists_ready_at_the_earlier_of_idle_time_and_lifetime) {
  policy.idle_timeout = Millis{600'000};
  policy.max_lifetime = Millis{20};
  const Session ready = make_ready("notebook/ada");
  EXPECT_EQ(ready.due, ready.ready_since + Millis{20});
  make_ready("notebook/bob-is-not-due");
  policy.max_lifetime = Millis{0};
  std::vector<Due> due;
  ASSERT_TRUE(eventually([&] {
    due = get(store->due(1));
    return !due.empty();
  }));
  EXPECT_EQ(due[0].session.key, ready.key);
  EXPECT_EQ(due[0].session.state, State::ready);
  EXPECT_EQ(get(store->due(1)).size(), 1U) << "it stays due until something is done";
  EXPECT_EQ(get(store->pin(ready.key, true)).due, ready.due) << "a pin does not prolong the lifetime";
}

TEST_P(StoreDrain, busy_session_is_not_idle_before_its_time_and_can_be_told_to_be_busy_no_longer) {
  policy.idle_timeout = Millis{20};
  const Session ready = make_ready("notebook/ada");
  const Session busy = get(store->busy(ready.key, Millis{600'000}));
  EXPECT_GT(busy.busy_until, ready.ready_since + Millis{500'000});
  EXPECT_EQ(busy.due, busy.busy_until);
  EXPECT_EQ(refusal(store->drain(ready.key, 1, EndCause::idle)), Errc::busy);
  const Session no_longer = get(store->busy(ready.key, Millis{0}));
  EXPECT_EQ(no_longer.busy_until, WallTime{});
  EXPECT_TRUE(eventually([&] { return !refusal(store->drain(ready.key, 1, EndCause::idle)); }));
}

TEST_P(StoreDrain, busy_rescues_from_an_idle_drain_and_lasts_no_longer_than_its_generation) {
  policy.idle_timeout = Millis{20};
  const Session ready = make_ready("notebook/ada");
  ASSERT_TRUE(eventually([&] { return !refusal(store->drain(ready.key, 1, EndCause::idle)); }));
  EXPECT_EQ(get(store->busy(ready.key, Millis{600'000})).state, State::ready);
  get(store->drain(ready.key, 1, EndCause::deleted));
  get(store->begin_stop(ready.key, 1));
  get(store->gone(ready.key, 1));
  EXPECT_EQ(acquire("notebook/ada").busy_until, WallTime{});
  EXPECT_EQ(refusal(store->busy(SessionKey::parse("notebook/nobody").value(), Millis{1})), Errc::not_found);
}

TEST_P(StoreDrain, a_mark_carries_how_long_the_app_is_busy_and_rescues_with_it) {
  policy.idle_timeout = Millis{20};
  const Session ready = make_ready("notebook/ada");
  Beat beat;
  beat.gateway = "g1";
  beat.marks.push_back({ready.key, 1, Millis{0}, "request", Millis{600'000}});
  get(store->beat(beat));
  const Session busy = lookup("notebook/ada");
  EXPECT_GT(busy.busy_until, ready.ready_since + Millis{500'000});
  EXPECT_EQ(busy.due, busy.busy_until);
  beat.marks[0].busy_for.reset();
  get(store->beat(beat));
  EXPECT_EQ(lookup("notebook/ada").busy_until, busy.busy_until)
      << "a mark that does not speak of it leaves it";
  beat.marks[0].busy_for = Millis{0};
  get(store->beat(beat));
  EXPECT_EQ(lookup("notebook/ada").busy_until, WallTime{});
  ASSERT_TRUE(eventually([&] { return !refusal(store->drain(ready.key, 1, EndCause::idle)); }));
  // Older than the last activity, so by itself it would not rescue.
  beat.marks[0].age = Millis{60'000};
  beat.marks[0].busy_for = Millis{600'000};
  get(store->beat(beat));
  EXPECT_EQ(lookup("notebook/ada").state, State::ready);
}

TEST_P(StoreDrain, due_lists_a_drain_when_its_grace_is_over_and_hands_out_a_stop_once) {
  policy.idle_timeout = Millis{1};
  policy.drain_grace = Millis{30};
  const Session draining = make_idle_drain("notebook/ada");
  EXPECT_EQ(draining.due, draining.changed + Millis{30});
  std::vector<Due> due;
  ASSERT_TRUE(eventually([&] {
    due = get(store->due(10));
    return !due.empty();
  }));
  EXPECT_EQ(due[0].session.state, State::draining);
  const Session stopping = get(store->begin_stop(draining.key, 1));
  EXPECT_EQ(stopping.due, stopping.changed + policy.stop_grace + Millis{30'000});
  EXPECT_TRUE(get(store->due(10)).empty()) << "whoever stopped it has its time";
}

TEST_P(StoreDrain, forced_drain_is_due_at_once_and_needs_no_grace) {
  policy.drain_grace = Millis{600'000};
  const Session ready = make_ready("notebook/ada");
  const Session draining = get(store->drain(ready.key, 1, EndCause::lifetime));
  EXPECT_EQ(draining.due, draining.changed);
  EXPECT_EQ(get(store->due(10)).size(), 1U);
  EXPECT_EQ(get(store->begin_stop(ready.key, 1)).state, State::stopping);
}

TEST_P(StoreDrain, begin_stop_waits_for_the_grace_of_an_idle_drain) {
  policy.idle_timeout = Millis{1};
  policy.drain_grace = Millis{250};
  const Session draining = make_idle_drain("notebook/ada");
  WallTime stopped_at;
  int refusals = 0;
  ASSERT_TRUE(eventually([&] {
    const auto result = run(store->begin_stop(draining.key, 1));
    if (!result) {
      EXPECT_EQ(result.error().code, Errc::busy);
      ++refusals;
      return false;
    }
    stopped_at = result.value().changed;
    return true;
  }));
  EXPECT_GE(stopped_at, draining.changed + policy.drain_grace);
  EXPECT_GT(refusals, 0);
}

TEST_P(StoreDrain, acquire_rescues_an_idle_drain) {
  policy.idle_timeout = Millis{1};
  make_idle_drain("notebook/ada");
  const Session rescued = acquire("notebook/ada");
  EXPECT_EQ(rescued.state, State::ready);
  EXPECT_EQ(rescued.cause, EndCause::none);
  EXPECT_EQ(rescued.generation, 1U);
  EXPECT_EQ(rescued.pod_uid, "uid-1");
  EXPECT_EQ(refusal(store->begin_stop(rescued.key, 1)), Errc::stale);
  EXPECT_FALSE(lists(beat("g1", 0), rescued.key, 1)) << "it is not draining any more";
}

TEST_P(StoreDrain, a_mark_rescues_an_idle_drain_but_not_a_forced_one) {
  policy.idle_timeout = Millis{1};
  const Session draining = make_idle_drain("notebook/ada");
  ASSERT_TRUE(eventually([&] {
    beat("g1", 0, {{draining.key, 1, Millis{0}, "websocket"}});
    return lookup("notebook/ada").state == State::ready;
  }));
  const Session rescued = lookup("notebook/ada");
  EXPECT_EQ(rescued.activity, "websocket");
  EXPECT_GT(rescued.last_activity, draining.last_activity);

  get(store->drain(draining.key, 1, EndCause::deleted));
  beat("g1", 0, {{draining.key, 1, Millis{0}, "request"}});
  EXPECT_EQ(lookup("notebook/ada").state, State::draining);
}

TEST_P(StoreDrain, late_mark_neither_shortens_nor_rescues) {
  policy.idle_timeout = Millis{1};
  const Session draining = make_idle_drain("notebook/ada");
  beat("g1", 0, {{draining.key, 1, Millis{3'600'000}, "request"}});
  const Session after = lookup("notebook/ada");
  EXPECT_EQ(after.state, State::draining);
  EXPECT_EQ(after.last_activity, draining.last_activity);
}

TEST_P(StoreDrain, marks_count_only_for_their_generation) {
  const Session ready = make_ready("notebook/ada");
  ASSERT_TRUE(eventually([&] {
    beat("g1", 0,
         {{key_of("notebook/unknown"), 1, Millis{0}, "request"},
          {ready.key, 2, Millis{0}, "body"},
          {ready.key, 1, Millis{0}, "request"}});
    return lookup("notebook/ada").activity == "request";
  }));
  const Session marked = lookup("notebook/ada");
  EXPECT_GT(marked.last_activity, ready.last_activity);
  EXPECT_EQ(marked.due, marked.last_activity + policy.idle_timeout);
  EXPECT_EQ(lookup("notebook/unknown").state, State::absent);
  const Session before = lookup("notebook/ada");
  beat("g1", 0, {{ready.key, 2, Millis{0}, "body"}, {ready.key, 0, Millis{0}, "body"}});
  EXPECT_EQ(lookup("notebook/ada").last_activity, before.last_activity);
}

TEST_P(StoreDrain, thousands_of_marks_in_one_beat_all_count) {
  constexpr int kSessions = 40;
  for (int i = 0; i < kSessions; ++i) make_ready("notebook/u" + std::to_string(i));
  std::vector<Beat::Mark> marks;
  for (int i = 0; i < 3'000; ++i)
    marks.push_back({key_of("notebook/u" + std::to_string(i % kSessions)), 1, Millis{0},
                     i >= 3'000 - kSessions ? "body" : "request"});
  ASSERT_TRUE(eventually([&] {
    beat("g1", 0, marks);
    for (int i = 0; i < kSessions; ++i)
      if (lookup("notebook/u" + std::to_string(i)).activity == "acquire") return false;
    return true;
  }));
}

TEST_P(StoreDrain, begin_stop_is_blocked_by_a_gateway_that_has_not_seen_the_drain_and_freed_by_its_beat) {
  const std::uint64_t at_first = beat("g1", 0).epoch;
  EXPECT_EQ(beat("g1", at_first).epoch, at_first);
  const Session ready = make_ready("notebook/ada");
  get(store->drain(ready.key, 1, EndCause::lifetime));

  const auto blocked = run(store->begin_stop(ready.key, 1));
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().code, Errc::busy);
  EXPECT_NE(blocked.error().text.find("g1"), std::string::npos) << blocked.error().text;

  const BeatReply told = beat("g1", at_first);
  EXPECT_GT(told.epoch, at_first);
  EXPECT_TRUE(lists(told, ready.key, 1));
  EXPECT_EQ(refusal(store->begin_stop(ready.key, 1)), Errc::busy)
      << "it was told, but has not said that it is done";

  EXPECT_FALSE(lists(beat("g1", told.epoch), ready.key, 1));
  EXPECT_EQ(get(store->begin_stop(ready.key, 1)).state, State::stopping);
}

TEST_P(StoreDrain, the_beat_that_would_free_the_stop_rescues_by_its_marks) {
  policy.idle_timeout = Millis{1};
  policy.drain_grace = Millis{0};
  beat("g1", 0);
  const Session draining = make_idle_drain("notebook/ada");
  const BeatReply told = beat("g1", 0);
  ASSERT_TRUE(lists(told, draining.key, 1));
  ASSERT_TRUE(eventually([&] {
    beat("g1", told.epoch, {{draining.key, 1, Millis{0}, "request"}});
    return lookup("notebook/ada").state == State::ready;
  }));
  EXPECT_EQ(refusal(store->begin_stop(draining.key, 1)), Errc::stale);
}

TEST_P(StoreDrain, all_gateways_must_have_seen_the_drain) {
  beat("g1", 0);
  beat("g2", 0);
  const Session ready = make_ready("notebook/ada");
  get(store->drain(ready.key, 1, EndCause::deleted));
  const std::uint64_t epoch = beat("g1", 0).epoch;
  beat("g1", epoch);
  EXPECT_EQ(refusal(store->begin_stop(ready.key, 1)), Errc::busy);
  beat("g2", epoch);
  EXPECT_FALSE(refusal(store->begin_stop(ready.key, 1)));
}

TEST_P(StoreDrain, a_silent_gateway_blocks_until_its_lease_ends) {
  const Session ready = make_ready("notebook/ada");
  const WallTime before = wall_now();
  beat("g1", 0, {}, Millis{300});
  get(store->drain(ready.key, 1, EndCause::deleted));
  EXPECT_EQ(refusal(store->begin_stop(ready.key, 1)), Errc::busy);
  Session stopping;
  ASSERT_TRUE(eventually([&] {
    const auto result = run(store->begin_stop(ready.key, 1));
    if (result) stopping = result.value();
    return result.has_value();
  }));
  EXPECT_GE(stopping.changed, before + Millis{300});
}

TEST_P(StoreDrain, a_gateway_that_leaves_blocks_no_more) {
  beat("g1", 0);
  const Session ready = make_ready("notebook/ada");
  get(store->drain(ready.key, 1, EndCause::deleted));
  EXPECT_EQ(refusal(store->begin_stop(ready.key, 1)), Errc::busy);
  EXPECT_TRUE(run(store->leave("g1")));
  EXPECT_TRUE(run(store->leave("never-came")));
  EXPECT_FALSE(refusal(store->begin_stop(ready.key, 1)));
}

TEST_P(StoreDrain, a_second_drain_needs_to_be_seen_anew) {
  policy.idle_timeout = Millis{1};
  policy.drain_grace = Millis{0};
  beat("g1", 0);
  const Session draining = make_idle_drain("notebook/ada");
  const std::uint64_t first = beat("g1", 0).epoch;
  beat("g1", first);
  acquire("notebook/ada");
  ASSERT_TRUE(
      eventually([&] { return !refusal(store->drain(draining.key, 1, EndCause::idle)).has_value(); }));
  EXPECT_EQ(refusal(store->begin_stop(draining.key, 1)), Errc::busy) << "it may have cached the route again";
  const BeatReply told = beat("g1", first);
  EXPECT_TRUE(lists(told, draining.key, 1));
  beat("g1", told.epoch);
  EXPECT_FALSE(refusal(store->begin_stop(draining.key, 1)));
}

TEST_P(StoreDrain, idle_drain_that_is_forced_can_no_longer_be_rescued) {
  policy.idle_timeout = Millis{1};
  policy.drain_grace = Millis{600'000};
  const Session idle = make_idle_drain("notebook/ada");
  const Session forced = get(store->drain(idle.key, 1, EndCause::deleted));
  EXPECT_EQ(forced.state, State::draining);
  EXPECT_EQ(forced.cause, EndCause::deleted);
  const Session wanted = acquire("notebook/ada");
  EXPECT_EQ(wanted.state, State::draining);
  EXPECT_TRUE(wanted.wanted);
  EXPECT_FALSE(refusal(store->begin_stop(idle.key, 1))) << "no grace";
}

TEST_P(StoreDrain, start_that_took_longer_than_the_idle_time_is_not_idle_when_it_is_ready) {
  policy.idle_timeout = Millis{500};
  const Session asked = acquire("notebook/ada");
  ASSERT_TRUE(claim());
  // Time passes by the store's own clock, which stamps every claim.
  ASSERT_TRUE(eventually([&] {
    acquire("clock/tick");
    const WallTime now = lookup("clock/tick").last_activity;
    return now > asked.created + policy.idle_timeout;
  }));
  const Session ready = get(store->publish_ready(asked.key, 1, endpoint(), "u"));
  EXPECT_EQ(ready.due, ready.ready_since + policy.idle_timeout);
  EXPECT_EQ(refusal(store->drain(asked.key, 1, EndCause::idle)), Errc::busy);
}

}  // namespace
}  // namespace alcove::test
