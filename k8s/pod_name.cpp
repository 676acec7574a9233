#include "k8s/pod_name.hpp"

#include "base/crypto.hpp"

#include <fmt/format.h>

#include <charconv>

namespace alcove::k8s {
namespace {

constexpr std::size_t kHashChars = 16;  // 80 bits in base32
constexpr std::size_t kReadable =
    12;  // of scope and of name; 12+1+12+1+20+1+16 = 63 with the longest generation

std::string_view shortened(std::string_view text) {
  text = text.substr(0, kReadable);
  while (text.ends_with('-')) text.remove_suffix(1);
  return text;
}

std::string hash(std::string_view instance, const SessionKey& key, std::string_view more) {
  // None of the parts can hold a '/' of its own but the key, which always has one.
  return base32_lower(sha256(fmt::format("{}/{}/{}", instance, key.text(), more))).substr(0, kHashChars);
}

}  // namespace

std::string pod_name(std::string_view instance, const PodName& name) {
  const std::string generation = std::to_string(name.generation);
  return fmt::format("{}-{}-{}-{}", shortened(name.key.scope()), shortened(name.key.name()), generation,
                     hash(instance, name.key, generation));
}

std::string kept_claim_name(std::string_view instance, const SessionKey& key, std::string_view volume) {
  return fmt::format("{}-{}-{}-{}", shortened(key.scope()), shortened(key.name()), shortened(volume),
                     hash(instance, key, fmt::format("volume/{}", volume)));
}

std::string claim_name(std::string_view instance, const PodName& name, std::string_view volume) {
  return fmt::format("{}-{}-{}-{}", shortened(name.key.scope()), shortened(name.key.name()),
                     shortened(volume),
                     hash(instance, name.key, fmt::format("volume/{}/{}", volume, name.generation)));
}

std::string selector(std::string_view instance) {
  return fmt::format("{}={}", label::kInstance, instance);
}

std::optional<PodName> pod_name_of(const Object& pod, std::string_view instance) {
  const std::string scope = pod.label(label::kScope);
  const std::string name = pod.label(label::kName);
  const std::string generation = pod.label(label::kGeneration);
  if (pod.label(label::kInstance) != instance || !is_label(scope) || !is_label(name)) return std::nullopt;
  PodName out{SessionKey(scope, name), 0};
  const auto [end, ec] =
      std::from_chars(generation.data(), generation.data() + generation.size(), out.generation);
  if (ec != std::errc{} || end != generation.data() + generation.size() || out.generation == 0)
    return std::nullopt;
  return out;
}

}  // namespace alcove::k8s
