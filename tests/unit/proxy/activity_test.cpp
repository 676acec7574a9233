// What a worker may still believe when its lease begins: nothing that it learnt without one.
#include "proxy/activity.hpp"

#include "store/memory_store.hpp"
#include "tests/support/run_awaitable.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace alcove::proxy {
namespace {

class ActivityTest : public testing::Test {
 protected:
  ActivityTest() { settings->activity_interval = Millis{20}; }

  void learn_route() {
    routes.insert(SessionKey("demo", "ada"), 1, Endpoint(asio::ip::address_v4::loopback(), 9), "uid-1");
  }
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

}  // namespace
}  // namespace alcove::proxy
