#include "lifecycle/metrics.hpp"

#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace alcove {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::array<const char*, static_cast<std::size_t>(StartOutcome::count_)> kOutcomes{
    "ready", "failed", "cancelled", "stale"};
constexpr std::array<const char*, static_cast<std::size_t>(StartPhase::count_)> kPhases{"queued", "started",
                                                                                        "ready"};

MetricFamily family(const char* name, const char* help, MetricType type) {
  MetricFamily f;
  f.name = name;
  f.help = help;
  f.type = type;
  return f;
}

void add(MetricFamily& f, std::uint64_t value, const char* label = nullptr, std::string text = {}) {
  ClientMetric metric;
  if (label != nullptr) metric.label.push_back({label, std::move(text)});
  if (f.type == MetricType::Gauge) {
    metric.gauge.value = static_cast<double>(value);
  } else {
    metric.counter.value = static_cast<double>(value);
  }
  f.metric.push_back(std::move(metric));
}

MetricFamily counter(const char* name, const char* help, const RelaxedCounter& value) {
  MetricFamily f = family(name, help, MetricType::Counter);
  add(f, value.get());
  return f;
}

MetricFamily gauge(const char* name, const char* help, const RelaxedCounter& value) {
  MetricFamily f = family(name, help, MetricType::Gauge);
  add(f, value.get());
  return f;
}

ClientMetric histogram(const SecondsHistogram& from, const char* phase) {
  ClientMetric metric;
  metric.label.push_back({"phase", phase});
  fill_histogram(from, metric);
  return metric;
}

class LifecycleCollectable final : public prometheus::Collectable {
 public:
  explicit LifecycleCollectable(std::shared_ptr<const LifecycleMetrics> metrics)
      : metrics_(std::move(metrics)) {}

  std::vector<MetricFamily> Collect() const override {
    const LifecycleMetrics& m = *metrics_;
    std::vector<MetricFamily> all;

    MetricFamily starts = family("alcove_starts_total", "Starts of pods by outcome", MetricType::Counter);
    for (std::size_t i = 0; i < m.starts.size(); ++i) add(starts, m.starts[i].get(), "outcome", kOutcomes[i]);
    all.push_back(std::move(starts));

    MetricFamily seconds = family("alcove_start_seconds",
                                  "Time of a start: queued (asked for to claimed), started (claimed to "
                                  "answering), ready (asked for to published)",
                                  MetricType::Histogram);
    for (std::size_t i = 0; i < m.start_seconds.size(); ++i)
      seconds.metric.push_back(histogram(m.start_seconds[i], kPhases[i]));
    all.push_back(std::move(seconds));

    MetricFamily evictions =
        family("alcove_evictions_total", "Pods that were stopped by cause", MetricType::Counter);
    for (std::size_t i = 1; i < m.evictions.size(); ++i)
      add(evictions, m.evictions[i].get(), "cause", std::string(name_of(static_cast<EndCause>(i))));
    all.push_back(std::move(evictions));

    all.push_back(gauge("alcove_starts_in_progress", "Starts in progress of this provisioner", m.starts_now));
    all.push_back(gauge("alcove_stops_in_progress", "Pods that this reaper is stopping", m.stops_now));
    all.push_back(counter("alcove_pod_exits_total", "Pods that ended by themselves", m.exits));
    all.push_back(counter("alcove_rescues_total", "Sessions that came back while they drained", m.rescues));
    all.push_back(counter("alcove_orphans_removed_total", "Pods without a record that were removed",
                          m.orphans_removed));
    all.push_back(
        counter("alcove_pods_adopted_total", "Pods that got their lost record back", m.pods_adopted));
    all.push_back(counter("alcove_records_lost_total", "Records whose pod was not there", m.records_lost));
    return all;
  }

 private:
  std::shared_ptr<const LifecycleMetrics> metrics_;
};

}  // namespace

void SecondsHistogram::observe(Millis value) {
  const double seconds = static_cast<double>(value.count()) / 1000.0;
  std::size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
  buckets[bucket].add();
  sum_ms.add(static_cast<std::uint64_t>(std::max<Millis::rep>(value.count(), 0)));
}

void fill_histogram(const SecondsHistogram& from, ClientMetric& to) {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < from.buckets.size(); ++i) {
    below += from.buckets[i].get();
    ClientMetric::Bucket bucket;
    bucket.cumulative_count = below;
    bucket.upper_bound = i < SecondsHistogram::kBounds.size() ? SecondsHistogram::kBounds[i]
                                                              : std::numeric_limits<double>::infinity();
    to.histogram.bucket.push_back(bucket);
  }
  to.histogram.sample_count = below;
  to.histogram.sample_sum = static_cast<double>(from.sum_ms.get()) / 1000.0;
}

std::shared_ptr<prometheus::Collectable> collect_lifecycle(std::shared_ptr<const LifecycleMetrics> metrics) {
  return std::make_shared<LifecycleCollectable>(std::move(metrics));
}

}  // namespace alcove
