// Why a pod failed, for the people who wait for it: from its status, the end of its log, and its events.
// Called by: kubernetes_runtime, when a start has failed or a pod has ended. Thread: the executor's. Asks the
// API once or twice, with little patience: the reason alone is better than a late one.
#pragma once

#include "k8s/api_client.hpp"
#include "k8s/pod_view.hpp"

#include <string>

namespace alcove::k8s {

// "was not ready within 60.0 s: no node takes it: ...". `trouble`: why the cluster could not be watched.
std::string late_text(const PodView& pod, const AppSettings& app, const std::string& trouble);
// How a pod that had been ready ended.
std::string end_reason(const PodView& pod, bool gone);

struct FailureSource {
  std::string pods;  // collections
  std::string events;
};

// The same with the last lines that it wrote, or, if it never ran, with the last warning about it.
Awaitable<std::string> with_evidence(ApiClient& api, const FailureSource& source, const PodView& pod,
                                     std::string text);

}  // namespace alcove::k8s
