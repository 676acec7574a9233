// LifecycleMetrics: what provisioner, reaper and reconciler of this process did, as counters, and their
// Prometheus form. Called by: those three (writes), the admin listener through alcove/ (collect_lifecycle).
// Thread: written by the control thread, read from any (relaxed atomics). Shared: outlives all who hold it.
#pragma once

#include "base/time.hpp"
#include "store/session.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace prometheus {
class Collectable;
struct ClientMetric;
}  // namespace prometheus

namespace alcove {

class RelaxedCounter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class SecondsHistogram {
 public:
  static constexpr std::array<double, 12> kBounds{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
  void observe(Millis value);

  std::array<RelaxedCounter, kBounds.size() + 1> buckets;  // not cumulative; the last is +Inf
  RelaxedCounter sum_ms;
};

void fill_histogram(const SecondsHistogram& from, prometheus::ClientMetric& to);

enum class StartOutcome : std::uint8_t {
  ready,      // published
  failed,     // the runtime said why
  cancelled,  // the session was ended while its pod started, or we are shutting down
  stale,      // the pod was ready, but the session had moved on: it was removed again
  count_
};
enum class StartPhase : std::uint8_t {
  queued,   // asked for -> claimed
  started,  // claimed -> the pod answers
  ready,    // asked for -> published as ready
  count_
};

struct LifecycleMetrics {
  std::array<RelaxedCounter, static_cast<std::size_t>(StartOutcome::count_)> starts;
  std::array<SecondsHistogram, static_cast<std::size_t>(StartPhase::count_)> start_seconds;
  RelaxedCounter starts_now;                // gauge
  RelaxedCounter exits;                     // pods that ended by themselves
  std::array<RelaxedCounter, 6> evictions;  // by EndCause, counted when the pod is being stopped
  RelaxedCounter stops_now;                 // gauge
  RelaxedCounter rescues;                   // drains seen to go back to ready
  RelaxedCounter orphans_removed;           // pods without a record, or older than theirs
  RelaxedCounter pods_adopted;              // pods that got their lost record back
  RelaxedCounter records_lost;              // records whose pod was not there
};

std::shared_ptr<prometheus::Collectable> collect_lifecycle(std::shared_ptr<const LifecycleMetrics> metrics);

}  // namespace alcove
