#include "k8s/object.hpp"

namespace alcove::k8s {

const Json* find(const Json& json, std::initializer_list<std::string_view> path) {
  const Json* at = &json;
  for (const std::string_view key : path) {
    if (!at->is_object()) return nullptr;
    const auto next = at->find(std::string(key));
    if (next == at->end() || next->is_null()) return nullptr;
    at = &*next;
  }
  return at;
}

std::string text_at(const Json& json, std::initializer_list<std::string_view> path) {
  const Json* at = find(json, path);
  return at != nullptr && at->is_string() ? at->get_ref<const std::string&>() : std::string{};
}

std::int64_t number_at(const Json& json, std::initializer_list<std::string_view> path) {
  const Json* at = find(json, path);
  return at != nullptr && at->is_number() ? at->get<std::int64_t>() : 0;
}

bool true_at(const Json& json, std::initializer_list<std::string_view> path) {
  const Json* at = find(json, path);
  return at != nullptr && at->is_boolean() && at->get<bool>();
}

const Json::array_t& list_at(const Json& json, std::initializer_list<std::string_view> path) {
  static const Json::array_t kNone;
  const Json* at = find(json, path);
  return at != nullptr && at->is_array() ? at->get_ref<const Json::array_t&>() : kNone;
}

}  // namespace alcove::k8s
