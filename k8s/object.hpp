// Object: a Kubernetes object as the API sends it, with the few fields of its metadata that everybody asks
// for. What is not there, or of another type than it should be, reads as empty: nothing here throws. Plain
// data, any thread.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace alcove::k8s {

using Json = nlohmann::json;

// The value at a path of keys; null if a part of it is missing.
const Json* find(const Json& json, std::initializer_list<std::string_view> path);
std::string text_at(const Json& json, std::initializer_list<std::string_view> path);
std::int64_t number_at(const Json& json, std::initializer_list<std::string_view> path);
bool true_at(const Json& json, std::initializer_list<std::string_view> path);
// The elements of the list there; none if there is none.
const Json::array_t& list_at(const Json& json, std::initializer_list<std::string_view> path);

// A struct of its own, since nlohmann's type converts to and from nearly everything.
struct Object {
  Json json;

  std::string name() const { return text_at(json, {"metadata", "name"}); }
  std::string uid() const { return text_at(json, {"metadata", "uid"}); }
  std::string version() const { return text_at(json, {"metadata", "resourceVersion"}); }
  bool deleting() const { return find(json, {"metadata", "deletionTimestamp"}) != nullptr; }
  std::string label(std::string_view key) const { return text_at(json, {"metadata", "labels", key}); }
  std::string annotation(std::string_view key) const {
    return text_at(json, {"metadata", "annotations", key});
  }
};

struct ObjectList {
  std::vector<Object> items;
  std::string version;        // to watch from
  std::string continue_from;  // there is more: ask with this
};

}  // namespace alcove::k8s
