// Metrics: counters of one worker, written by its thread without a lock and summed when scraped.
// Called by: everything in proxy (writes), the admin listener through alcove/ (collect).
// Thread: each WorkerMetrics is written by its worker only; reads from another thread see relaxed atomics.
#pragma once

#include "base/failure.hpp"
#include "base/time.hpp"
#include "proxy/wake.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace prometheus {
class Collectable;
}

namespace alcove::proxy {

// Written by one thread: a plain load and store, no locked instruction.
class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class LatencyHistogram {
 public:
  static constexpr std::array<double, 14> kBounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                  0.1,    0.25,  0.5,    1,     2.5,  10,    60};  // seconds
  void observe(std::chrono::nanoseconds value);
  std::array<Counter, kBounds.size() + 1> buckets;  // not cumulative; the last is +Inf
  Counter sum_ns;
};

constexpr std::size_t kLimits = static_cast<std::size_t>(Limit::count_);

enum class HoldOutcome : std::uint8_t {
  served,
  waiting_page,
  failed,
  expired,
  client_gone,
  refused,
  not_woken,
  count_
};

struct WorkerMetrics {
  std::array<Counter, 6> requests_by_class;        // 1xx..5xx by the status sent; [0]: none sent
  Counter own_replies;                             // of these, made by Alcove
  std::array<std::array<Counter, 7>, 5> failures;  // by side and phase
  void fail(const Failure& failure);               // also counts the limit that it names
  std::array<Counter, kLimits> limits;
  void met(Limit limit, std::uint64_t times = 1) { limits[static_cast<std::size_t>(limit)].add(times); }
  LatencyHistogram latency;  // head complete to answer complete, tunnels not counted
  LatencyHistogram
      ready_to_first_byte;  // the pod's ready seen to the first byte sent to it, held requests only
  LatencyHistogram hold_time;
  Counter holds_now;
  std::array<Counter, static_cast<std::size_t>(HoldOutcome::count_)> holds;
  std::array<Counter, static_cast<std::size_t>(Sleep::count_)> not_woken;  // by why
  Counter route_cache_hits;
  Counter route_cache_misses;
  Counter route_cache_size;  // gauge
  Counter push_gaps;         // pub/sub lost and regained: the route cache was dropped
  Counter connections_now;
  Counter connections;
  Counter tunnels_now;
  Counter pod_connections;  // dialled
  Counter pod_connections_reused;
  Counter pod_dial_failures;
  Counter retries;
  Counter bytes_to_clients;
  Counter bytes_to_pods;
  Counter beats_failed;
};

// A collectable for a prometheus::Exposer or text serializer: sums the workers. Names: alcove_gateway_...
std::shared_ptr<prometheus::Collectable> collect_workers(
    std::vector<std::shared_ptr<const WorkerMetrics>> workers);

}  // namespace alcove::proxy
