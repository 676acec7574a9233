// Would the cluster take these apps' pods? Each is sent to the API with dryRun, which checks and admits it as
// a real one (quota, webhooks, Pod Security) and keeps nothing. Called by: `alcove check --server`. Thread:
// the caller's, which it blocks for some seconds at the most. Fails with: a line for people for each thing
// that is wrong, in the API's own words; none: all would be taken.
#pragma once

#include "config/settings.hpp"

#include <string>
#include <vector>

namespace alcove::k8s {

std::vector<std::string> try_on_cluster(const KubernetesRuntimeSettings& runtime,
                                        const std::vector<AppSettings>& apps);

}  // namespace alcove::k8s
