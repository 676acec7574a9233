#include "lifecycle/reaper.hpp"

#include "tests/support/lifecycle_bench.hpp"

namespace alcove {
namespace {

using test::LifecycleBench;

class ReaperTest : public testing::Test, public LifecycleBench {
 protected:
  Reaper reaper{context.get_executor(), store, runtime, settings, metrics};
  bool ended = false;

  void go() {
    launch(context.get_executor(), reaper.run(), [this](const std::exception_ptr&) { ended = true; });
  }
  void TearDown() override {
    reaper.stop();
    EXPECT_TRUE(until([this] { return ended; }));
  }
  // A session with a running pod, as a provisioner leaves it.
  void make_ready(const std::string& session, const std::string& uid = "uid") {
    const Session asked = ask(session);
    ClaimRequest claim;
    claim.provisioner = "test";
    ASSERT_TRUE(backend->claim(claim).has_value());
    const Pod pod = runtime.add_pod(session, asked.generation, uid);
    ASSERT_TRUE(backend->publish_ready(asked.key, asked.generation, pod.endpoint, uid));
  }
  BeatReply beat(std::uint64_t seen, std::vector<Beat::Mark> marks = {}) {
    Beat b;
    b.gateway = "gateway-1";
    b.seen = seen;
    b.marks = std::move(marks);
    return backend->beat(b);
  }
  std::uint64_t evictions(EndCause cause) {
    return metrics->evictions[static_cast<std::size_t>(cause)].get();
  }
};

TEST_F(ReaperTest, idle_session_goes_and_its_pod_with_it) {
  make_ready("demo/ada");
  go();
  offset += Millis{61'000};
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::absent; }));
  EXPECT_TRUE(runtime.pods.empty());
  EXPECT_EQ(record("demo/ada").cause, EndCause::idle);
  EXPECT_EQ(evictions(EndCause::idle), 1U);
}

TEST_F(ReaperTest, session_in_use_stays) {
  make_ready("demo/ada");
  go();
  offset += Millis{50'000};
  beat(0, {{key("demo/ada"), 1, Millis{0}, "request"}});
  offset += Millis{50'000};
  const std::size_t before = store.calls;
  ASSERT_TRUE(until([&] { return store.calls > before + 5; }));
  EXPECT_EQ(state("demo/ada"), State::ready);
}

TEST_F(ReaperTest, draining_session_is_not_stopped_before_every_gateway_has_seen_it) {
  make_ready("demo/ada");
  beat(0);
  go();
  offset += Millis{61'000};
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::draining; }));
  const std::size_t before = store.calls;
  ASSERT_TRUE(until([&] { return store.calls > before + 5; }));
  EXPECT_EQ(state("demo/ada"), State::draining);
  const BeatReply reply = beat(0);
  ASSERT_EQ(reply.draining.size(), 1U);
  beat(reply.epoch);
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::absent; }));
}

TEST_F(ReaperTest, mark_while_draining_rescues_and_is_counted) {
  make_ready("demo/ada");
  beat(0);
  go();
  offset += Millis{61'000};
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::draining; }));
  const BeatReply reply = beat(0);
  beat(reply.epoch, {{key("demo/ada"), 1, Millis{0}, "request"}});
  ASSERT_TRUE(until([&] { return metrics->rescues.get() == 1; }));
  EXPECT_EQ(state("demo/ada"), State::ready);
  EXPECT_EQ(runtime.stopped, 0U);
}

TEST_F(ReaperTest, deleted_session_goes_at_once_not_at_the_next_interval) {
  settings->reaper.interval = Millis{60'000};
  make_ready("demo/ada");
  beat(0);
  go();
  ASSERT_TRUE(until([&] { return store.calls > 0; }));
  ASSERT_TRUE(backend->drain(key("demo/ada"), 1, EndCause::deleted));
  const BeatReply reply = beat(0);
  beat(reply.epoch);
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::absent; }, Millis{2'000}));
  EXPECT_EQ(evictions(EndCause::deleted), 1U);
}

TEST_F(ReaperTest, somebody_who_waits_gets_the_next_generation) {
  make_ready("demo/ada");
  go();
  ASSERT_TRUE(backend->drain(key("demo/ada"), 1, EndCause::deleted));
  ask("demo/ada");
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::pending; }));
  EXPECT_EQ(record("demo/ada").generation, 2U);
  EXPECT_TRUE(runtime.pods.empty());
}

TEST_F(ReaperTest, many_go_together_but_only_so_many_stops_at_once) {
  runtime.stop_takes = Millis{30};
  for (int i = 0; i < 200; ++i) make_ready("demo/u" + std::to_string(i), "uid-" + std::to_string(i));
  go();
  offset += Millis{61'000};
  ASSERT_TRUE(until([&] { return runtime.pods.empty(); }));
  EXPECT_LE(runtime.most_stops_at_once, Reaper::kStopsAtOnce);
  EXPECT_GT(runtime.most_stops_at_once, 16U);
  ASSERT_TRUE(until([&] { return evictions(EndCause::idle) == 200; }));
}

TEST_F(ReaperTest, stop_whose_reaper_died_is_done_again) {
  make_ready("demo/ada");
  ASSERT_TRUE(backend->drain(key("demo/ada"), 1, EndCause::deleted));
  ASSERT_TRUE(backend->begin_stop(key("demo/ada"), 1));
  go();
  const std::size_t before = store.calls;
  ASSERT_TRUE(until([&] { return store.calls > before + 3; }));
  EXPECT_EQ(state("demo/ada"), State::stopping) << "the other one's lease runs";
  offset += Millis{60'000};
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::absent; }));
  EXPECT_TRUE(runtime.pods.empty());
}

TEST_F(ReaperTest, pod_that_it_does_not_see_is_left_to_the_reaper_that_does) {
  make_ready("demo/ada", "uid-elsewhere");
  runtime.foreign.insert("uid-elsewhere");
  go();
  ASSERT_TRUE(backend->drain(key("demo/ada"), 1, EndCause::deleted));
  const std::size_t before = store.calls;
  ASSERT_TRUE(until([&] { return store.calls > before + 5; }));
  EXPECT_EQ(state("demo/ada"), State::draining);
  EXPECT_EQ(runtime.stopped, 0U);
}

TEST_F(ReaperTest, absence_of_the_store_ends_nothing_and_is_survived) {
  make_ready("demo/ada");
  store.away = true;
  go();
  offset += Millis{61'000};
  ASSERT_TRUE(until([&] { return store.refused > 2; }));
  EXPECT_EQ(state("demo/ada"), State::ready);
  store.away = false;
  ASSERT_TRUE(until([&] { return state("demo/ada") == State::absent; }));
}

}  // namespace
}  // namespace alcove
