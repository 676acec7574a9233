#include "proxy/metrics.hpp"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

namespace alcove::proxy {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::array<Side, 5> kSides{Side::client, Side::pod, Side::store, Side::runtime, Side::alcove};
constexpr std::array<Phase, 7> kPhases{Phase::head,     Phase::lookup, Phase::hold,  Phase::dial,
                                       Phase::response, Phase::body,   Phase::tunnel};
constexpr std::array<const char*, 6> kClasses{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
constexpr std::array<const char*, static_cast<std::size_t>(HoldOutcome::count_)> kOutcomes{
    "served", "waiting_page", "failed", "expired", "client_gone", "refused", "not_woken"};

template <class Array, class Value>
std::size_t index_of(const Array& all, Value value) {
  return static_cast<std::size_t>(std::find(all.begin(), all.end(), value) - all.begin());
}

using Workers = std::vector<std::shared_ptr<const WorkerMetrics>>;

// `pick` answers a reference to the Counter that is meant in one worker.
template <class Pick>
double sum(const Workers& workers, Pick pick) {
  std::uint64_t total = 0;
  for (const auto& worker : workers) total += pick(*worker).get();
  // A gauge that is read between two workers' steps may be below zero for a moment.
  return static_cast<double>(static_cast<std::int64_t>(total));
}

MetricFamily family(std::string_view name, std::string_view help, MetricType type) {
  MetricFamily out;
  out.name.append("alcove_gateway_").append(name);
  out.help = help;
  out.type = type;
  return out;
}

void add(MetricFamily& to, std::vector<ClientMetric::Label> labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  if (to.type == MetricType::Gauge) {
    metric.gauge.value = value;
  } else {
    metric.counter.value = value;
  }
  to.metric.push_back(std::move(metric));
}

struct Plain {
  const char* name;
  const char* help;
  MetricType type;
  Counter WorkerMetrics::*counter;
};

constexpr std::array kPlain{
    Plain{"own_replies_total", "Answers made by Alcove itself.", MetricType::Counter,
          &WorkerMetrics::own_replies},
    Plain{"holds_now", "Requests waiting for their pod.", MetricType::Gauge, &WorkerMetrics::holds_now},
    Plain{"route_cache_hits_total", "Requests routed without asking the store.", MetricType::Counter,
          &WorkerMetrics::route_cache_hits},
    Plain{"route_cache_misses_total", "Requests that had to ask the store.", MetricType::Counter,
          &WorkerMetrics::route_cache_misses},
    Plain{"route_cache_size", "Routes known, in all workers.", MetricType::Gauge,
          &WorkerMetrics::route_cache_size},
    Plain{"push_gaps_total", "Times the store's pushes were lost and the route cache was dropped.",
          MetricType::Counter, &WorkerMetrics::push_gaps},
    Plain{"connections_now", "Open connections of clients.", MetricType::Gauge,
          &WorkerMetrics::connections_now},
    Plain{"connections_total", "Connections of clients accepted.", MetricType::Counter,
          &WorkerMetrics::connections},
    Plain{"tunnels_now", "Open WebSocket tunnels.", MetricType::Gauge, &WorkerMetrics::tunnels_now},
    Plain{"pod_connections_total", "Connections to pods dialled.", MetricType::Counter,
          &WorkerMetrics::pod_connections},
    Plain{"pod_connections_reused_total", "Requests sent on a connection to a pod that was open already.",
          MetricType::Counter, &WorkerMetrics::pod_connections_reused},
    Plain{"pod_dial_failures_total", "Failed attempts to connect to a pod.", MetricType::Counter,
          &WorkerMetrics::pod_dial_failures},
    Plain{"retries_total", "Requests sent again on another connection.", MetricType::Counter,
          &WorkerMetrics::retries},
    Plain{"bytes_to_clients_total", "Body and tunnel bytes sent to clients.", MetricType::Counter,
          &WorkerMetrics::bytes_to_clients},
    Plain{"bytes_to_pods_total", "Body and tunnel bytes sent to pods.", MetricType::Counter,
          &WorkerMetrics::bytes_to_pods},
    Plain{"beats_failed_total", "Activity reports that the store did not take.", MetricType::Counter,
          &WorkerMetrics::beats_failed},
};

MetricFamily histogram(const Workers& workers, const char* name, const char* help,
                       LatencyHistogram WorkerMetrics::*which) {
  MetricFamily out = family(name, help, MetricType::Histogram);
  ClientMetric metric;
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i <= LatencyHistogram::kBounds.size(); ++i) {
    for (const auto& worker : workers) cumulative += ((*worker).*which).buckets[i].get();
    ClientMetric::Bucket bucket;
    bucket.cumulative_count = cumulative;
    bucket.upper_bound = i < LatencyHistogram::kBounds.size() ? LatencyHistogram::kBounds[i]
                                                              : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back(bucket);
  }
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum =
      sum(workers, [which](const WorkerMetrics& w) -> const Counter& { return (w.*which).sum_ns; }) / 1e9;
  out.metric.push_back(std::move(metric));
  return out;
}

class Collector final : public prometheus::Collectable {
 public:
  explicit Collector(Workers workers) : workers_(std::move(workers)) {}

  std::vector<MetricFamily> Collect() const override {
    std::vector<MetricFamily> out;
    out.push_back(requests());
    out.push_back(failures());
    out.push_back(holds());
    out.push_back(limits());
    out.push_back(not_woken());
    for (const Plain& plain : kPlain) {
      MetricFamily one = family(plain.name, plain.help, plain.type);
      add(one, {},
          sum(workers_, [&](const WorkerMetrics& w) -> const Counter& { return w.*(plain.counter); }));
      out.push_back(std::move(one));
    }
    out.push_back(histogram(workers_, "request_seconds",
                            "From a request's complete head to its complete answer, tunnels not counted.",
                            &WorkerMetrics::latency));
    out.push_back(
        histogram(workers_, "ready_to_first_byte_seconds",
                  "From the news that the pod is ready to the first byte sent to it, held requests only.",
                  &WorkerMetrics::ready_to_first_byte));
    out.push_back(histogram(workers_, "hold_seconds", "How long requests waited for their pod.",
                            &WorkerMetrics::hold_time));
    return out;
  }

 private:
  MetricFamily requests() const {
    MetricFamily out =
        family("requests_total", "Requests by the class of the status sent; none: the client had gone.",
               MetricType::Counter);
    for (std::size_t i = 0; i < kClasses.size(); ++i)
      add(out, {{"code", kClasses[i]}},
          sum(workers_, [i](const WorkerMetrics& w) -> const Counter& { return w.requests_by_class[i]; }));
    return out;
  }

  MetricFamily failures() const {
    MetricFamily out =
        family("failures_total", "Failed requests by the side that failed and the phase it failed in.",
               MetricType::Counter);
    for (std::size_t s = 0; s < kSides.size(); ++s) {
      for (std::size_t p = 0; p < kPhases.size(); ++p) {
        const std::string end{static_cast<char>(kSides[s]), static_cast<char>(kPhases[p])};
        add(out,
            {{"end", end},
             {"side", std::string(name_of(kSides[s]))},
             {"phase", std::string(name_of(kPhases[p]))}},
            sum(workers_, [s, p](const WorkerMetrics& w) -> const Counter& { return w.failures[s][p]; }));
      }
    }
    return out;
  }

  MetricFamily holds() const {
    MetricFamily out = family("holds_total", "Requests that waited for their pod, by how the wait ended.",
                              MetricType::Counter);
    for (std::size_t i = 0; i < kOutcomes.size(); ++i)
      add(out, {{"outcome", kOutcomes[i]}},
          sum(workers_, [i](const WorkerMetrics& w) -> const Counter& { return w.holds[i]; }));
    return out;
  }

  MetricFamily not_woken() const {
    MetricFamily out = family("not_woken_total", "Requests that found no pod and may not start one, by why.",
                              MetricType::Counter);
    for (std::size_t i = 1; i < static_cast<std::size_t>(Sleep::count_); ++i)  // 0 is none
      add(out, {{"why", std::string(name_of(static_cast<Sleep>(i)))}},
          sum(workers_, [i](const WorkerMetrics& w) -> const Counter& { return w.not_woken[i]; }));
    return out;
  }

  MetricFamily limits() const {
    MetricFamily out =
        family("limits_met_total", "Connections and requests that met a limit, by the key that sets it.",
               MetricType::Counter);
    for (std::size_t i = 1; i < kLimits; ++i)  // 0 is none
      add(out, {{"limit", std::string(name_of(static_cast<Limit>(i)))}},
          sum(workers_, [i](const WorkerMetrics& w) -> const Counter& { return w.limits[i]; }));
    return out;
  }

  Workers workers_;
};

}  // namespace

void LatencyHistogram::observe(std::chrono::nanoseconds value) {
  const double seconds = std::chrono::duration<double>(value).count();
  std::size_t i = 0;
  while (i < kBounds.size() && seconds > kBounds[i]) ++i;
  buckets[i].add();
  sum_ns.add(value.count() > 0 ? static_cast<std::uint64_t>(value.count()) : 0);
}

void WorkerMetrics::fail(const Failure& failure) {
  const std::size_t side = index_of(kSides, failure.side);
  const std::size_t phase = index_of(kPhases, failure.phase);
  if (side < kSides.size() && phase < kPhases.size()) failures[side][phase].add();
  if (failure.limit != Limit::none) met(failure.limit);
}

std::shared_ptr<prometheus::Collectable> collect_workers(Workers workers) {
  return std::make_shared<Collector>(std::move(workers));
}

}  // namespace alcove::proxy
