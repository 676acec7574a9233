#include "alcove/process_metrics.hpp"

#include <prometheus/metric_family.h>

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

namespace alcove {
namespace {

prometheus::MetricFamily family(const char* name, const char* help, prometheus::MetricType type,
                                double value) {
  prometheus::MetricFamily out;
  out.name = name;
  out.help = help;
  out.type = type;
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Counter)
    metric.counter.value = value;
  else
    metric.gauge.value = value;
  out.metric.push_back(std::move(metric));
  return out;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0;
  double resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_files() {
  std::error_code ec;
  std::filesystem::directory_iterator at("/proc/self/fd", ec);
  double count = 0;
  for (; !ec && at != std::filesystem::directory_iterator(); at.increment(ec)) ++count;
  return count;
}

class ProcessMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    using prometheus::MetricType;
    std::vector<prometheus::MetricFamily> out;
    out.push_back(family("alcove_build_info", "1, with the version as a label", MetricType::Gauge, 1));
    out.back().metric.front().label.push_back({"version", ALCOVE_VERSION});
    out.push_back(
        family("process_start_time_seconds", "Unix time of the start", MetricType::Gauge, started_));
    out.push_back(family("process_cpu_seconds_total", "CPU time used", MetricType::Counter, cpu_seconds()));
    out.push_back(
        family("process_resident_memory_bytes", "Resident memory", MetricType::Gauge, resident_bytes()));
    out.push_back(family("process_open_fds", "Open file descriptors", MetricType::Gauge, open_files()));
    return out;
  }

 private:
  const double started_ = static_cast<double>(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
};

}  // namespace

std::shared_ptr<prometheus::Collectable> collect_process() {
  return std::make_shared<ProcessMetrics>();
}

}  // namespace alcove
