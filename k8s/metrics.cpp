#include "k8s/metrics.hpp"

#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <array>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace alcove::k8s {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily family(const char* name, const char* help, MetricType type) {
  MetricFamily f;
  f.name = name;
  f.help = help;
  f.type = type;
  return f;
}

MetricFamily plain(const char* name, const char* help, MetricType type, const RelaxedCounter& value) {
  MetricFamily f = family(name, help, type);
  ClientMetric metric;
  (type == MetricType::Gauge ? metric.gauge.value : metric.counter.value) = static_cast<double>(value.get());
  f.metric.push_back(std::move(metric));
  return f;
}

MetricFamily calls_of(const ApiMetrics& m) {
  MetricFamily f = family("alcove_kubernetes_calls_total", "Calls of the Kubernetes API by verb and outcome",
                          MetricType::Counter);
  for (std::size_t verb = 0; verb < ApiMetrics::kVerbs; ++verb) {
    for (std::size_t outcome = 0; outcome < ApiMetrics::kOutcomes; ++outcome) {
      const std::uint64_t count = m.calls[verb][outcome].get();
      const bool fine = outcome == ApiMetrics::kOutcomes - 1;
      if (count == 0 && !fine) continue;
      ClientMetric metric;
      metric.label.push_back({"verb", std::string(name_of(static_cast<Verb>(verb)))});
      metric.label.push_back(
          {"outcome", fine ? "ok" : std::string(name_of(static_cast<ApiReason>(outcome)))});
      metric.counter.value = static_cast<double>(count);
      f.metric.push_back(std::move(metric));
    }
  }
  return f;
}

MetricFamily seconds_of(const ApiMetrics& m) {
  MetricFamily f = family("alcove_kubernetes_call_seconds", "Time that the Kubernetes API took to answer",
                          MetricType::Histogram);
  for (std::size_t verb = 0; verb < ApiMetrics::kVerbs; ++verb) {
    if (static_cast<Verb>(verb) == Verb::watch) continue;
    ClientMetric metric;
    metric.label.push_back({"verb", std::string(name_of(static_cast<Verb>(verb)))});
    fill_histogram(m.seconds[verb], metric);
    f.metric.push_back(std::move(metric));
  }
  return f;
}

MetricFamily phases_of(const ApiMetrics& m) {
  MetricFamily f =
      family("alcove_kubernetes_start_seconds",
             "Kubernetes' share of a start: scheduled (made to a node has it), started (until its "
             "container runs, with its image pulled), ready (until it answers its probe)",
             MetricType::Histogram);
  constexpr std::array<const char*, static_cast<std::size_t>(PodPhase::count_)> kNames{"scheduled", "started",
                                                                                       "ready"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    ClientMetric metric;
    metric.label.push_back({"phase", kNames[i]});
    fill_histogram(m.phases[i], metric);
    f.metric.push_back(std::move(metric));
  }
  return f;
}

class ApiCollectable final : public prometheus::Collectable {
 public:
  explicit ApiCollectable(std::shared_ptr<const ApiMetrics> metrics) : metrics_(std::move(metrics)) {}

  std::vector<MetricFamily> Collect() const override {
    const ApiMetrics& m = *metrics_;
    std::vector<MetricFamily> all;
    all.push_back(calls_of(m));
    all.push_back(seconds_of(m));
    all.push_back(phases_of(m));
    all.push_back(plain("alcove_kubernetes_watch_events_total", "Events that watches have brought",
                        MetricType::Counter, m.watch_events));
    all.push_back(plain("alcove_kubernetes_relists_total", "Lists that a watch had to begin with",
                        MetricType::Counter, m.relists));
    all.push_back(
        plain("alcove_kubernetes_watching", "Watches that are in step", MetricType::Gauge, m.watching));
    return all;
  }

 private:
  std::shared_ptr<const ApiMetrics> metrics_;
};

}  // namespace

std::string_view name_of(Verb verb) {
  switch (verb) {
    case Verb::get:
      return "get";
    case Verb::list:
      return "list";
    case Verb::watch:
      return "watch";
    case Verb::create:
      return "create";
    case Verb::patch:
      return "patch";
    case Verb::remove:
      return "delete";
    case Verb::log:
      return "log";
    case Verb::exec:
      return "exec";
    case Verb::count_:
      break;
  }
  return "other";
}

std::shared_ptr<prometheus::Collectable> collect_api(std::shared_ptr<const ApiMetrics> metrics) {
  return std::make_shared<ApiCollectable>(std::move(metrics));
}

}  // namespace alcove::k8s
