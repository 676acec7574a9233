// The Kubernetes runtime: each session's pod is a bare Pod on a cluster. Called by: provisioner, reaper, api
// through the Runtime interface; made by make_kubernetes_runtime. Thread: the control thread. Owns: the
// client of the API, an informer, and what is known of the pods. Fails as Runtime says; making it throws
// std::runtime_error when no cluster is configured. Destroy it after shut_down(), or when its io_context runs
// no more.
//
//   - Pods outlive this process: shut_down() only stops watching. They are named by key and generation, so
//     whoever starts the same again adopts what is there.
//   - A pod is followed by the one watch of all pods, never by asking. Its start costs one call (one more for
//     each volume of its own), its end one.
//   - A start that fails is explained by the pod's status, the end of its log and its events, before the pod
//   is
//     removed. The failure is told as soon as the API has agreed to the removal; what is being removed is not
//     listed any more, and its name is waited for by the next start that needs it.
//   - A pod that is asked to end by somebody else (eviction, preemption, kubectl) is told as ended at once,
//   as
//     `still_there`: its session can go on elsewhere while it takes its time.
#pragma once

#include "config/settings.hpp"
#include "k8s/metrics.hpp"
#include "lifecycle/runtime.hpp"

#include <memory>

namespace alcove::k8s {

std::unique_ptr<Runtime> make_kubernetes_runtime(const KubernetesRuntimeSettings& settings, Executor executor,
                                                 std::shared_ptr<ApiMetrics> metrics);

}  // namespace alcove::k8s
