// Pushes: every transition, to every store, in order per session.
#include "tests/contract/store_bench.hpp"

namespace alcove::test {
namespace {

class StorePush : public StoreTest {};
INSTANTIATE_TEST_SUITE_P(On, StorePush, ::testing::Values(Kind::memory, Kind::redis), kind_name);

TEST_P(StorePush, two_stores_are_told_every_transition_in_order) {
  const auto other = make();
  Recorder here;
  Recorder there;
  store->subscribe(&here);
  other->subscribe(&there);
  policy.idle_timeout = Millis{1};
  policy.drain_grace = Millis{0};
  make_idle_drain("notebook/ada");
  acquire("notebook/ada");
  ASSERT_TRUE(eventually(
      [&] { return !refusal(store->drain(key_of("notebook/ada"), 1, EndCause::idle)).has_value(); }));
  get(store->begin_stop(key_of("notebook/ada"), 1));
  acquire("notebook/ada");
  get(store->gone(key_of("notebook/ada"), 1));
  get(store->drain(key_of("notebook/ada"), 2, EndCause::deleted));
  const std::string story =
      "pending 1, starting 1, ready 1, draining 1, ready 1, draining 1, stopping 1, pending 2, absent 2";
  EXPECT_TRUE(eventually([&] { return there.story(key_of("notebook/ada")) == story; }))
      << there.story(key_of("notebook/ada"));
  EXPECT_TRUE(eventually([&] { return here.story(key_of("notebook/ada")) == story; }))
      << here.story(key_of("notebook/ada"));
  EXPECT_EQ(here.gaps, 0);
}

TEST_P(StorePush, a_push_carries_what_its_state_needs) {
  Recorder recorder;
  store->subscribe(&recorder);
  make_ready("notebook/ada", "uid-9");
  acquire("notebook/bob");
  ASSERT_TRUE(claim());
  const std::string reason = "exited with code 1:\n\tlast words\ttabs";
  get(store->publish_failed(key_of("notebook/bob"), 1, reason, Millis{1'000}));
  get(store->drain(key_of("notebook/ada"), 1, EndCause::lifetime));
  ASSERT_TRUE(eventually([&] { return recorder.seen.size() == 7; }));
  const Transition& ready = recorder.seen[2];
  EXPECT_EQ(ready.state, State::ready);
  EXPECT_EQ(ready.endpoint, endpoint());
  EXPECT_EQ(ready.pod_uid, "uid-9");
  EXPECT_EQ(recorder.seen[5].state, State::failed);
  EXPECT_EQ(recorder.seen[5].reason, reason);
  EXPECT_EQ(recorder.seen[6].state, State::draining);
  EXPECT_EQ(recorder.seen[6].cause, EndCause::lifetime);
}

TEST_P(StorePush, what_is_no_transition_is_not_pushed) {
  make_ready("notebook/ada");
  Recorder recorder;
  store->subscribe(&recorder);
  acquire("notebook/ada");
  beat("g1", 0, {{key_of("notebook/ada"), 1, Millis{0}, "request"}});
  get(store->pin(key_of("notebook/ada"), true));
  EXPECT_EQ(refusal(store->drain(key_of("notebook/ada"), 9, EndCause::deleted)), Errc::stale);
  acquire("notebook/last");  // its push comes after any that the calls above had made
  ASSERT_TRUE(eventually([&] { return recorder.story(key_of("notebook/last")) == "pending 1"; }));
  EXPECT_EQ(recorder.story(key_of("notebook/ada")).find("ready 1, "), std::string::npos);
  EXPECT_LE(recorder.seen.size(), 4U);
}

TEST_P(StorePush, all_subscribers_of_a_store_are_told_until_they_unsubscribe) {
  class Leaver : public Recorder {
   public:
    explicit Leaver(Store& store) : store_(store) {}
    void on_transition(const Transition& transition) override {
      Recorder::on_transition(transition);
      store_.unsubscribe(this);
    }

   private:
    Store& store_;
  };
  Leaver leaver(*store);
  Recorder stayer;
  store->subscribe(&leaver);
  store->subscribe(&stayer);
  acquire("notebook/ada");
  acquire("notebook/bob");
  EXPECT_TRUE(eventually([&] { return stayer.seen.size() == 2; }));
  EXPECT_EQ(leaver.seen.size(), 1U);
}

}  // namespace
}  // namespace alcove::test
