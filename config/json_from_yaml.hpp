// JSON text from a YAML node, by the core schema of YAML 1.2: a plain true, 12 or null is what it looks like,
// in quotes it is text. Called by: reading, for what is passed on to Kubernetes as it is. Pure but for the
// callbacks. Fails with: nothing in the answer; each fault went to `fault`.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <optional>
#include <string>

namespace alcove {

using ExpandText = std::function<std::optional<std::string>(const std::string&)>;
using YamlFault = std::function<void(const YAML::Node& at, const std::string& text)>;

std::optional<std::string> json_from_yaml(const YAML::Node& node, const ExpandText& expand,
                                          const YamlFault& fault);

}  // namespace alcove
