// ApiMetrics: what this process asked of the Kubernetes API, by verb and by how it went, and its Prometheus
// form. Called by: api_client, informer (writes), the admin listener through alcove/ (collect_api). Thread:
// written by the control thread, read from any (relaxed atomics). Shared: outlives all who hold it.
#pragma once

#include "k8s/api_error.hpp"
#include "lifecycle/metrics.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

namespace alcove::k8s {

enum class Verb : std::uint8_t { get, list, watch, create, patch, remove, log, exec, count_ };
std::string_view name_of(Verb verb);  // as RBAC calls them: "delete"

// Kubernetes' own share of a start, as the watch tells it.
enum class PodPhase : std::uint8_t {
  scheduled,  // made -> a node has it
  started,    // -> its container runs: volumes are there, the image has been pulled
  ready,      // -> it answers its probe
  count_
};

struct ApiMetrics {
  static constexpr std::size_t kVerbs = static_cast<std::size_t>(Verb::count_);
  static constexpr std::size_t kOutcomes = static_cast<std::size_t>(ApiReason::other) + 2;  // the last: fine

  void count(Verb verb, const ApiError* error) {  // null: it went well
    const std::size_t outcome = error == nullptr ? kOutcomes - 1 : static_cast<std::size_t>(error->reason);
    calls[static_cast<std::size_t>(verb)][outcome].add();
  }

  // Each try is one. Of a command both tell of its opening, and nothing of how it ended.
  std::array<std::array<RelaxedCounter, kOutcomes>, kVerbs> calls;
  std::array<SecondsHistogram, kVerbs> seconds;  // not of watches and followed logs
  std::array<SecondsHistogram, static_cast<std::size_t>(PodPhase::count_)> phases;
  RelaxedCounter watch_events;
  RelaxedCounter relists;   // lists that a watch had to begin with
  RelaxedCounter watching;  // gauge: watches that are in step
};

std::shared_ptr<prometheus::Collectable> collect_api(std::shared_ptr<const ApiMetrics> metrics);

}  // namespace alcove::k8s
