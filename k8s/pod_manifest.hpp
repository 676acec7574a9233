// The Pod (and the PersistentVolumeClaims) of a session, from the settings of its app. Called by:
// kubernetes_runtime; `alcove check` may show it. Pure, any thread. Fails with: Errc::failed, if the app
// cannot run on Kubernetes (no image) or its overlay makes no Pod.
//
// A user's name is text that nobody has checked. It goes into one annotation and into values of environment
// variables, with each '$' doubled, since Kubernetes replaces "$(NAME)" there; nowhere else.
#pragma once

#include "base/result.hpp"
#include "k8s/object.hpp"
#include "lifecycle/runtime.hpp"

#include <string>
#include <vector>

namespace alcove::k8s {

inline constexpr const char* kAppContainer = "app";
// A pod whose node is lost ends after this, and its session can go on elsewhere; Kubernetes itself waits 300
// s.
inline constexpr int kNodeLostSeconds = 30;

struct PodPlan {
  Json pod;
  std::vector<Json> kept_claims;  // created if they are not there
  std::vector<Json> own_claims;   // the same; the pod owns them and takes them with it
};

Result<PodPlan> plan_pod(const PodSpec& spec, std::string_view instance);

// Lays a partial manifest over a whole one, the way a strategic merge does: mappings key by key, lists of
// named things by their names (volume mounts by their path), tolerations added, other lists replaced, null
// takes away.
void overlay(Json& base, const Json& over);

}  // namespace alcove::k8s
