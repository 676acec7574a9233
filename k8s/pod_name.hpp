// Names of the objects that belong to a session, and the labels and annotations by which they are known
// again, by this process, by the next, by another one, and by who looks with kubectl. Pure, any thread.
//
// A name is DNS-1123 and at most 63 long (a pod's name is its hostname too): the beginning of scope and name
// for people, and 80 bits of SHA-256 over the instance, the whole key and the generation, which keep apart
// what looks alike. The same pod has the same name whoever makes it, so making it twice is adopting it.
#pragma once

#include "k8s/object.hpp"
#include "lifecycle/runtime.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace alcove::k8s {

namespace label {
inline constexpr std::string_view kManagedBy = "app.kubernetes.io/managed-by";  // "alcove"
inline constexpr std::string_view kInstance = "alcove/instance";
inline constexpr std::string_view kScope = "alcove/scope";
inline constexpr std::string_view kName = "alcove/name";
inline constexpr std::string_view kGeneration = "alcove/generation";
inline constexpr std::string_view kApp = "alcove/app";
inline constexpr std::string_view kVolume = "alcove/volume";
}  // namespace label
namespace annotation {
inline constexpr std::string_view kUser = "alcove/user";  // any text
inline constexpr std::string_view kPort = "alcove/port";
}  // namespace annotation

std::string pod_name(std::string_view instance, const PodName& name);
// Without the generation: the next one finds it again.
std::string kept_claim_name(std::string_view instance, const SessionKey& key, std::string_view volume);
// With it: it goes with its pod.
std::string claim_name(std::string_view instance, const PodName& name, std::string_view volume);

// "alcove/instance=...": all pods of this instance.
std::string selector(std::string_view instance);
// Whose pod it is by its labels; nothing if it is none of this instance's.
std::optional<PodName> pod_name_of(const Object& pod, std::string_view instance);

}  // namespace alcove::k8s
