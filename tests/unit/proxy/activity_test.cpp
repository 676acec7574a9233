// What a worker may still believe when its lease begins: nothing that it learnt without one. And what it
// tells the store of the sessions that it serves, and when.
#include "proxy/activity.hpp"

#include "store/memory_store.hpp"
#include "tests/support/run_awaitable.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace alcove::proxy {
namespace {

class ActivityTest : public testing::Test {
 protected:
  ActivityTest() { settings->activity_interval = Millis{20}; }

  Session session() const {
    Session ready;
    ready.key = SessionKey("demo", "ada");
    ready.generation = 1;
    ready.endpoint = Endpoint(asio::ip::address_v4::loopback(), 9);
    ready.pod_uid = "uid-1";
    return ready;
  }
  void learn_route() { routes.insert(session()); }
  bool knows_route() { return routes.find("demo/ada") != nullptr; }
  asio::io_context io{1};
  std::shared_ptr<MemoryBackend> backend = std::make_shared<MemoryBackend>();
  std::unique_ptr<Store> store = make_memory_store(backend, io.get_executor());
  RouteCache routes{100};
  WorkerMetrics metrics;
  std::shared_ptr<Settings> settings = std::make_shared<Settings>();
  Activity activity{io.get_executor(), *store, routes, metrics, "gateway/0"};
};

TEST_F(ActivityTest, route_that_was_learnt_before_the_first_answered_beat_is_dropped_by_it) {
  learn_route();
  EXPECT_FALSE(activity.lease_runs(SteadyClock::now()));
  bool ended = false;
  launch(io, activity.run(settings), [&](const std::exception_ptr&) { ended = true; });
  ASSERT_TRUE(test::run_until(
      io, [&] { return activity.lease_runs(SteadyClock::now()); }, Millis{10'000}));
  EXPECT_FALSE(knows_route()) << "its pod may have been stopped before the store knew of this worker";

  learn_route();
  const SteadyTime begun = SteadyClock::now();
  ASSERT_TRUE(test::run_until(
      io, [&] { return SteadyClock::now() - begun > Millis{100}; }, Millis{10'000}));
  EXPECT_TRUE(knows_route()) << "while the lease runs, beats take nothing away";
  activity.stop();
  EXPECT_TRUE(test::run_until(
      io, [&] { return ended; }, Millis{10'000}));
}

TEST_F(ActivityTest, routes_do_not_outlive_a_lease_that_has_ended) {
  settings->outage.serve_known_for = Millis{1};  // ends before the next beat
  bool ended = false;
  launch(io, activity.run(settings), [&](const std::exception_ptr&) { ended = true; });
  learn_route();
  EXPECT_TRUE(test::run_until(
      io, [&] { return !knows_route(); }, Millis{10'000}));
  activity.stop();
  EXPECT_TRUE(test::run_until(
      io, [&] { return ended; }, Millis{10'000}));
}

// Beats go through, and each one's marks are kept; or they fail, when told so.
class MarksKept : public MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  Awaitable<Result<BeatReply>> beat(Beat beat) override {
    if (fails) {
      ++failed;
      co_return Error{Errc::unavailable, "not now"};
    }
    beats.push_back(beat.marks);
    co_return co_await MemoryStore::beat(std::move(beat));
  }

  std::vector<std::vector<Beat::Mark>> beats;
  bool fails = false;
  int failed = 0;
};

class MarksTest : public ActivityTest {
 protected:
  MarksTest() {
    launch(io, watched.run(settings), [&](const std::exception_ptr&) { ended = true; });
    EXPECT_TRUE(test::run_until(io, [&] { return watched.lease_runs(SteadyClock::now()); }));
  }
  ~MarksTest() override {
    watched.stop();
    EXPECT_TRUE(test::run_until(io, [&] { return ended; }));
  }

  RoutePtr learn(Millis idle_timeout) {
    Session ready = session();
    ready.policy.idle_timeout = idle_timeout;
    return routes.insert(ready);
  }
  void use(CachedRoute& route) { watched.mark(route, ActivityKind::request, SteadyClock::now()); }
  std::size_t marks() const {
    std::size_t count = 0;
    for (const auto& beat : kept.beats) count += beat.size();
    return count;
  }
  // Answers how many marks they carried.
  std::size_t beats(std::size_t more) {
    const std::size_t before = marks();
    const std::size_t until = kept.beats.size() + more;
    EXPECT_TRUE(test::run_until(io, [&] { return kept.beats.size() >= until; }));
    return marks() - before;
  }
  // The store has the session, and finds it idle so long after it was told of a use.
  void adopt(Millis idle_timeout) {
    Session known = session();
    known.state = State::ready;
    known.policy.idle_timeout = idle_timeout;
    known.policy.drain_grace = Millis{0};
    ASSERT_TRUE(backend->adopt(known));
  }
  void drain_and_see_it_rescued() {
    const SessionKey key = session().key;
    ASSERT_TRUE(test::run_until(io, [&] { return backend->drain(key, 1, EndCause::idle).has_value(); }));
    EXPECT_FALSE(backend->begin_stop(key, 1)) << "this worker has not followed the drain yet";
    ASSERT_TRUE(test::run_until(io, [&] { return backend->lookup(key).state == State::ready; }));
    EXPECT_FALSE(backend->begin_stop(key, 1));
  }

  MarksKept kept{backend, io.get_executor()};
  Activity watched{io.get_executor(), kept, routes, metrics, "gateway/1"};
  bool ended = false;
};

TEST_F(MarksTest, first_use_is_told_with_the_next_beat_and_going_on_says_nothing_new) {
  const RoutePtr route = learn(Millis{3'600'000});
  use(*route);
  beats(2);
  EXPECT_EQ(marks(), 1U);
  for (int i = 0; i < 5; ++i) {
    use(*route);
    beats(1);
  }
  EXPECT_EQ(marks(), 1U);
  EXPECT_TRUE(route->marked) << "it has been used since";
}

TEST_F(MarksTest, use_is_told_again_after_a_sixtieth_of_the_idle_timeout) {
  const RoutePtr route = learn(Millis{60 * 200});
  const SteadyTime begun = SteadyClock::now();
  watched.begin(*route, begun);  // as long as it is in flight
  ASSERT_TRUE(test::run_until(io, [&] { return marks() >= 3; }));
  EXPECT_GE(SteadyClock::now() - begun, 2 * Millis{200} * 48 / 64);
  for (const auto& beat : kept.beats)
    for (const Beat::Mark& mark : beat) EXPECT_EQ(mark.age, Millis{0});
  watched.end(*route, SteadyClock::now());
}

TEST_F(MarksTest, what_was_held_back_is_told_with_its_true_age) {
  const RoutePtr route = learn(Millis{60 * 300});
  use(*route);
  beats(2);
  const SteadyTime tell_at = route->tell_at;
  const SteadyTime before = SteadyClock::now();
  use(*route);
  const SteadyTime after = SteadyClock::now();
  ASSERT_TRUE(test::run_until(io, [&] { return marks() == 2; }));
  const Millis age = kept.beats.back().front().age;
  EXPECT_GE(age, std::chrono::duration_cast<Millis>(tell_at - after));
  EXPECT_LE(age, SteadyClock::now() - before);
  EXPECT_FALSE(route->marked);
}

TEST_F(MarksTest, route_that_left_the_cache_is_told_with_the_next_beat) {
  const RoutePtr route = learn(Millis{3'600'000});
  use(*route);
  beats(2);
  use(*route);
  ASSERT_EQ(routes.drop(route->key(), 1), route);
  EXPECT_EQ(beats(1), 1U) << "its session may drain, and the mark is what rescues it";
}

// As when an app's idle timeout was made shorter than the worker knows.
TEST_F(MarksTest, use_that_was_held_back_rescues_a_session_that_drains) {
  adopt(Millis{100});
  const RoutePtr route = learn(Millis{3'600'000});
  use(*route);
  beats(2);
  use(*route);
  drain_and_see_it_rescued();
  EXPECT_FALSE(route->current) << "who comes now asks the store";
}

TEST_F(MarksTest, route_that_left_the_cache_while_in_flight_is_held_back_as_others_and_rescues_too) {
  adopt(Millis{200});
  const RoutePtr route = learn(Millis{3'600'000});
  watched.begin(*route, SteadyClock::now());
  routes.clear();  // as after a gap
  beats(2);
  EXPECT_EQ(beats(3), 0U);
  drain_and_see_it_rescued();
  watched.end(*route, SteadyClock::now());
}

TEST_F(MarksTest, use_of_a_route_that_nobody_finds_is_told_with_the_next_beat) {
  const RoutePtr route = learn(Millis{3'600'000});
  routes.clear();
  for (int i = 0; i < 3; ++i) {
    use(*route);
    EXPECT_EQ(beats(2), 1U);
  }
}

TEST_F(MarksTest, busy_is_told_with_the_next_beat) {
  const RoutePtr route = learn(Millis{3'600'000});
  use(*route);
  beats(2);
  constexpr Millis kDecade{315'360'000'000};
  watched.busy(*route, kDecade, SteadyClock::now());
  ASSERT_EQ(beats(1), 1U);
  EXPECT_EQ(kept.beats.back().front().busy_for, kDecade);
}

TEST_F(MarksTest, what_a_beat_that_failed_carried_goes_with_the_next) {
  const RoutePtr route = learn(Millis{3'600'000});
  use(*route);
  kept.fails = true;
  ASSERT_TRUE(test::run_until(io, [&] { return kept.failed >= 2; }));
  EXPECT_TRUE(route->marked);
  kept.fails = false;
  EXPECT_EQ(beats(1), 1U);
}

TEST_F(MarksTest, last_beat_tells_everything) {
  const RoutePtr route = learn(Millis{3'600'000});
  use(*route);
  beats(2);
  use(*route);
  watched.stop();
  ASSERT_TRUE(test::run_until(io, [&] { return ended; }));
  EXPECT_EQ(kept.beats.back().size(), 1U);
}

}  // namespace
}  // namespace alcove::proxy
