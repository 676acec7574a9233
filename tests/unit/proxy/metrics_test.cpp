#include "proxy/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <set>
#include <thread>

namespace alcove::proxy {
namespace {

using testing::HasSubstr;

std::string scrape(std::vector<std::shared_ptr<const WorkerMetrics>> workers) {
  return prometheus::TextSerializer().Serialize(collect_workers(std::move(workers))->Collect());
}

TEST(metrics, sums_the_workers) {
  auto one = std::make_shared<WorkerMetrics>();
  auto two = std::make_shared<WorkerMetrics>();
  one->requests_by_class[2].add(3);
  two->requests_by_class[2].add(4);
  two->requests_by_class[0].add();
  one->connections_now.add(5);
  one->connections_now.sub(2);
  two->own_replies.add();
  two->holds[static_cast<std::size_t>(HoldOutcome::client_gone)].add(6);
  const std::string text = scrape({one, two});
  EXPECT_THAT(text, HasSubstr("alcove_gateway_requests_total{code=\"2xx\"} 7"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_requests_total{code=\"none\"} 1"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_connections_now 3"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_own_replies_total 1"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_holds_total{outcome=\"client_gone\"} 6"));
}

TEST(metrics, a_failure_is_counted_under_its_two_letters) {
  auto worker = std::make_shared<WorkerMetrics>();
  worker->fail({Side::pod, Phase::dial, 502, "", 0});
  worker->fail({Side::pod, Phase::dial, 502, "", 0});
  worker->fail({Side::alcove, Phase::tunnel, 0, "", 0});
  const std::string text = scrape({worker});
  EXPECT_THAT(text, HasSubstr("alcove_gateway_failures_total{end=\"PD\",side=\"pod\",phase=\"dial\"} 2"));
  EXPECT_THAT(text,
              HasSubstr("alcove_gateway_failures_total{end=\"AT\",side=\"alcove\",phase=\"tunnel\"} 1"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_failures_total{end=\"CH\",side=\"client\",phase=\"head\"} 0"));
}

TEST(metrics, histograms_are_cumulative_and_end_with_infinity) {
  auto worker = std::make_shared<WorkerMetrics>();
  worker->latency.observe(std::chrono::microseconds(500));  // on the bound: le is "less or equal"
  worker->latency.observe(std::chrono::milliseconds(3));
  worker->latency.observe(std::chrono::seconds(100));
  worker->latency.observe(std::chrono::nanoseconds(-5));
  const std::string text = scrape({worker, std::make_shared<WorkerMetrics>()});
  EXPECT_THAT(text, HasSubstr("alcove_gateway_request_seconds_bucket{le=\"0.0005\"} 2"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_request_seconds_bucket{le=\"0.0025\"} 2"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_request_seconds_bucket{le=\"0.005\"} 3"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_request_seconds_bucket{le=\"60\"} 3"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_request_seconds_bucket{le=\"+Inf\"} 4"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_request_seconds_count 4"));
  EXPECT_THAT(text, HasSubstr("alcove_gateway_request_seconds_sum 100.0035"));
}

TEST(metrics, every_family_has_a_name_of_its_own_and_a_help_text) {
  std::set<std::string> names;
  for (const auto& family : collect_workers({std::make_shared<WorkerMetrics>()})->Collect()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_TRUE(family.name.starts_with("alcove_gateway_")) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
    EXPECT_EQ(family.name.ends_with("_total"), family.type == prometheus::MetricType::Counter) << family.name;
  }
}

TEST(metrics, are_there_with_no_worker_at_all) {
  EXPECT_THAT(scrape({}), HasSubstr("alcove_gateway_requests_total{code=\"5xx\"} 0"));
}

TEST(metrics, can_be_scraped_while_a_worker_counts) {
  auto worker = std::make_shared<WorkerMetrics>();
  std::jthread writer([worker](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      worker->requests_by_class[2].add();
      worker->latency.observe(std::chrono::milliseconds(1));
    }
  });
  double before = 0;
  for (int i = 0; i < 200; ++i) {
    for (const auto& family : collect_workers({worker})->Collect()) {
      if (family.name != "alcove_gateway_requests_total") continue;
      const double now = family.metric.at(2).counter.value;
      EXPECT_GE(now, before);
      before = now;
    }
  }
}

}  // namespace
}  // namespace alcove::proxy
