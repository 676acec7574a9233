#include "tests/support/api_objects.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace alcove::test {
namespace {

using k8s::text_at;

std::string singular(const std::string& kind) {
  if (kind == "pods") return "Pod";
  if (kind == "configmaps") return "ConfigMap";
  if (kind == "persistentvolumeclaims") return "PersistentVolumeClaim";
  return "Event";
}

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// RFC 1123 subdomain, as names of these kinds have to be.
bool is_object_name(const std::string& name) {
  if (name.empty() || name.size() > 253 || !is_alnum(name.front()) || !is_alnum(name.back())) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return is_alnum(c) || c == '-' || c == '.'; });
}

bool is_label_value(const std::string& value) {
  const auto word = [](char c) { return is_alnum(c) || (c >= 'A' && c <= 'Z'); };
  if (value.empty()) return true;
  if (value.size() > 63 || !word(value.front()) || !word(value.back())) return false;
  return std::all_of(value.begin(), value.end(),
                     [&](char c) { return word(c) || c == '-' || c == '_' || c == '.'; });
}

bool to_number(const std::string& text, std::uint64_t& out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  return ec == std::errc{} && end == text.data() + text.size();
}

std::string get_or(const Query& query, const std::string& key) {
  const auto found = query.find(key);
  return found == query.end() ? std::string{} : found->second;
}

// "a=b,c=d" alone: no other operator is used.
bool selected(const Json& object, const std::string& labels, const std::string& fields) {
  const auto each = [](const std::string& list, auto matches) {
    std::string_view rest = list;
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      const std::string_view pair = rest.substr(0, comma);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      const std::size_t equal = pair.find('=');
      if (!matches(pair.substr(0, equal), pair.substr(equal + 1))) return false;
    }
    return true;
  };
  return each(labels,
              [&](std::string_view key, std::string_view value) {
                return text_at(object, {"metadata", "labels", key}) == value;
              }) &&
         each(fields, [&](std::string_view key, std::string_view value) {
           if (key == "metadata.name") return text_at(object, {"metadata", "name"}) == value;
           return text_at(object, {"involvedObject", key.substr(key.find('.') + 1)}) == value;
         });
}

bool known_fields(const ApiCollection& in, const std::string& fields) {
  return fields.empty() || fields.starts_with("metadata.name=") ||
         (in.kind == "events" && fields.starts_with("involvedObject."));
}

ApiAnswer not_found(const ApiCollection& in, const std::string& name) {
  return status_answer(404, "NotFound", fmt::format("{} \"{}\" not found", in.kind, name));
}

ApiAnswer invalid(const ApiCollection& in, const std::string& name, const std::string& what) {
  return status_answer(422, "Invalid",
                       fmt::format("{} \"{}\" is invalid: {}", singular(in.kind), name, what));
}

}  // namespace

ApiAnswer status_answer(int code, const std::string& reason, const std::string& message) {
  return {code,
          {{"kind", "Status"},
           {"apiVersion", "v1"},
           {"metadata", Json::object()},
           {"status", code < 300 ? "Success" : "Failure"},
           {"message", message},
           {"reason", reason},
           {"code", code}}};
}

void ApiObjects::note(const ApiCollection& in, const std::string& type, Json& object) {
  object["metadata"]["resourceVersion"] = std::to_string(++version_);
  history_.push_back({version_, in, type, object});
  changed_.notify_all();
}

std::optional<ApiAnswer> ApiObjects::check(const ApiCollection& in, const Json& object) const {
  const std::string name = text_at(object, {"metadata", "name"});
  if (text_at(object, {"apiVersion"}) != "v1" || text_at(object, {"kind"}) != singular(in.kind))
    return status_answer(
        400, "BadRequest",
        fmt::format("{} in version \"{}\" cannot be handled as a {}", text_at(object, {"kind"}),
                    text_at(object, {"apiVersion"}), singular(in.kind)));
  const std::string there = text_at(object, {"metadata", "namespace"});
  if (!there.empty() && there != in.in_namespace)
    return status_answer(
        400, "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request");
  if (!is_object_name(name))
    return invalid(in, name,
                   "metadata.name: Invalid value: a lowercase RFC 1123 subdomain must consist of ...");
  if (const Json* labels = k8s::find(object, {"metadata", "labels"})) {
    for (const auto& [key, value] : labels->items())
      if (!value.is_string())
        return status_answer(400, "BadRequest", "unrecognized type: string");
      else if (!is_label_value(value.get<std::string>()))
        return invalid(in, name,
                       "metadata.labels: Invalid value: a valid label must be an empty string or ...");
  }
  if (const Json* annotations = k8s::find(object, {"metadata", "annotations"})) {
    for (const auto& [key, value] : annotations->items())
      if (!value.is_string()) return status_answer(400, "BadRequest", "unrecognized type: string");
  }
  if (in.kind != "pods") return std::nullopt;
  const auto& containers = k8s::list_at(object, {"spec", "containers"});
  if (containers.empty()) return invalid(in, name, "spec.containers: Required value");
  for (const Json& container : containers) {
    const std::string its = text_at(container, {"name"});
    if (!is_object_name(its) || its.size() > 63)
      return invalid(in, name, "spec.containers[0].name: Invalid value");
    if (text_at(container, {"image"}).empty())
      return invalid(in, name, "spec.containers[0].image: Required value");
  }
  return std::nullopt;
}

ApiAnswer ApiObjects::get(const ApiCollection& in, const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find({in, name});
  if (found == objects_.end()) return not_found(in, name);
  return {200, found->second};
}

ApiAnswer ApiObjects::create(const ApiCollection& in, const std::string& body, const Query& query) {
  const std::lock_guard lock(mutex_);
  Json object = Json::parse(body, nullptr, false);
  if (!object.is_object())
    return status_answer(400, "BadRequest", "the object provided is unrecognized: couldn't parse JSON");
  if (auto refused = check(in, object)) return *refused;
  const std::string name = text_at(object, {"metadata", "name"});
  if (objects_.contains({in, name}))
    return status_answer(409, "AlreadyExists", fmt::format("{} \"{}\" already exists", in.kind, name));
  Json& metadata = object["metadata"];
  metadata["namespace"] = in.in_namespace;
  metadata["uid"] = fmt::format("00000000-0000-4000-8000-{:012}", next_uid_++);
  metadata["creationTimestamp"] = "2026-01-01T00:00:00Z";
  if (in.kind == "pods") object["status"] = {{"phase", "Pending"}, {"qosClass", "BestEffort"}};
  if (query.contains("dryRun")) return {201, object};
  note(in, "ADDED", object);
  objects_[{in, name}] = object;
  return {201, object};
}

ApiAnswer ApiObjects::patch(const ApiCollection& in, const std::string& name, const std::string& content_type,
                            const std::string& body) {
  const std::lock_guard lock(mutex_);
  if (content_type != "application/merge-patch+json" &&
      content_type != "application/strategic-merge-patch+json")
    return status_answer(415, "UnsupportedMediaType",
                         fmt::format("the body of the request was in an unknown format: {}", content_type));
  const auto found = objects_.find({in, name});
  if (found == objects_.end()) return not_found(in, name);
  const Json change = Json::parse(body, nullptr, false);
  if (!change.is_object()) return status_answer(400, "BadRequest", "couldn't parse the patch");
  const std::string meant = text_at(change, {"metadata", "resourceVersion"});
  if (!meant.empty() && meant != text_at(found->second, {"metadata", "resourceVersion"}))
    return status_answer(
        409, "Conflict",
        fmt::format("Operation cannot be fulfilled on {} \"{}\": the object has been modified; "
                    "please apply your changes to the latest version and try again",
                    in.kind, name));
  Json patched = found->second;
  patched.merge_patch(change);
  if (auto refused = check(in, patched)) return *refused;
  if (patched != found->second) {
    note(in, "MODIFIED", patched);
    found->second = patched;
  }
  return {200, patched};
}

ApiAnswer ApiObjects::remove(const ApiCollection& in, const std::string& name, const std::string& body) {
  const std::lock_guard lock(mutex_);
  Json options = Json::object();
  if (!body.empty()) options = Json::parse(body, nullptr, false);
  if (!options.is_object() || (!body.empty() && text_at(options, {"kind"}) != "DeleteOptions"))
    return status_answer(400, "BadRequest", "expected kind DeleteOptions");
  const auto found = objects_.find({in, name});
  if (found == objects_.end()) return not_found(in, name);
  Json& object = found->second;
  const std::string uid = text_at(object, {"metadata", "uid"});
  const std::string meant = text_at(options, {"preconditions", "uid"});
  if (!meant.empty() && meant != uid)
    return status_answer(
        409, "Conflict",
        fmt::format("Operation cannot be fulfilled on {} \"{}\": Precondition failed: UID in "
                    "precondition: {}, UID in object meta: {}",
                    in.kind, name, meant, uid));
  std::int64_t grace = 30;
  if (const Json* asked = k8s::find(options, {"gracePeriodSeconds"})) grace = asked->get<std::int64_t>();
  // A pod that no node has yet needs no grace.
  const bool at_once = in.kind != "pods" || grace == 0 || text_at(object, {"spec", "nodeName"}).empty();
  if (!at_once) {
    if (!object["metadata"].contains("deletionTimestamp")) {
      object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:10Z";
      object["metadata"]["deletionGracePeriodSeconds"] = grace;
      note(in, "MODIFIED", object);
    }
    return {200, object};
  }
  Json last = std::move(object);
  objects_.erase(found);
  note(in, "DELETED", last);
  if (in.kind == "pods") return {200, last};
  ApiAnswer gone = status_answer(200, "", "");
  gone.body["details"] = {{"name", name}, {"kind", in.kind}, {"uid", uid}};
  return gone;
}

ApiAnswer ApiObjects::list(const ApiCollection& in, const Query& query) {
  const std::lock_guard lock(mutex_);
  const std::string fields = get_or(query, "fieldSelector");
  if (!known_fields(in, fields))
    return status_answer(400, "BadRequest", "field label not supported: " + fields);
  std::uint64_t limit = 0;
  if (const std::string text = get_or(query, "limit"); !text.empty() && !to_number(text, limit))
    return status_answer(400, "BadRequest", "strconv.ParseInt: parsing \"" + text + "\": invalid syntax");
  std::uint64_t version = version_;
  std::string after;
  if (const std::string token = get_or(query, "continue"); !token.empty()) {
    const std::size_t colon = token.find(':');
    if (colon == std::string::npos || !to_number(token.substr(0, colon), version))
      return status_answer(400, "BadRequest", "continue key is not valid");
    if (version < compacted_)
      return status_answer(410, "Expired",
                           "The provided continue parameter is too old to display a consistent list result.");
    after = token.substr(colon + 1);
  }
  Json items = Json::array();
  std::string last;
  bool more = false;
  for (const auto& [key, object] : objects_) {
    if (key.first != in || key.second <= after) continue;
    if (!selected(object, get_or(query, "labelSelector"), fields)) continue;
    if (limit > 0 && items.size() == limit) {
      more = true;
      break;
    }
    items.push_back(object);
    last = key.second;
  }
  Json metadata{{"resourceVersion", std::to_string(version)}};
  if (more) metadata["continue"] = fmt::format("{}:{}", version, last);
  return {200,
          {{"kind", singular(in.kind) + "List"},
           {"apiVersion", "v1"},
           {"metadata", std::move(metadata)},
           {"items", std::move(items)}}};
}

std::optional<ApiAnswer> ApiObjects::watch_refused(const Query& query) {
  std::uint64_t version = 0;
  const std::string text = get_or(query, "resourceVersion");
  if (!text.empty() && !to_number(text, version))
    return status_answer(400, "BadRequest", "Invalid value: \"" + text + "\": strconv.ParseUint");
  return std::nullopt;
}

std::optional<Json> ApiObjects::too_old(std::uint64_t after) {
  const std::lock_guard lock(mutex_);
  if (after >= compacted_) return std::nullopt;
  const std::string message = fmt::format("too old resource version: {} ({})", after, compacted_);
  return Json{{"type", "ERROR"}, {"object", status_answer(410, "Expired", message).body}};
}

std::vector<Json> ApiObjects::watch(const ApiCollection& in, const Query& query, std::uint64_t& after,
                                    SteadyTime deadline, std::uint64_t wakes) {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::vector<Json> lines;
    for (const Event& event : history_) {
      if (event.version <= after || event.in != in) continue;
      if (selected(event.object, get_or(query, "labelSelector"), get_or(query, "fieldSelector")))
        lines.push_back({{"type", event.type}, {"object", event.object}});
    }
    after = std::max(after, version_);
    if (!lines.empty() || wakes_ != wakes) return lines;
    if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) return lines;
  }
}

void ApiObjects::set_status(const std::string& in_namespace, const std::string& pod, const Json& status) {
  const std::lock_guard lock(mutex_);
  const ApiCollection in{"pods", in_namespace};
  Json& object = objects_.at({in, pod});
  object["status"].merge_patch(status);
  bool refused = false;
  for (const Json& condition : k8s::list_at(object, {"status", "conditions"}))
    refused = refused ||
              (condition.value("type", "") == "PodScheduled" && condition.value("status", "") == "False");
  if (!refused) object["spec"]["nodeName"] = "node1";
  note(in, "MODIFIED", object);
}

void ApiObjects::finish(const std::string& in_namespace, const std::string& pod) {
  const std::lock_guard lock(mutex_);
  const ApiCollection in{"pods", in_namespace};
  const auto found = objects_.find({in, pod});
  if (found == objects_.end()) return;
  Json last = std::move(found->second);
  objects_.erase(found);
  note(in, "DELETED", last);
}

std::optional<Json> ApiObjects::find(const ApiCollection& in, const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find({in, name});
  return found == objects_.end() ? std::nullopt : std::optional<Json>(found->second);
}

std::size_t ApiObjects::count(const ApiCollection& in) {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(objects_.begin(), objects_.end(),
                                                [&](const auto& entry) { return entry.first.first == in; }));
}

void ApiObjects::compact() {
  const std::lock_guard lock(mutex_);
  // As if something of another kind had been written, so that whoever stands still is behind.
  compacted_ = ++version_;
}

std::uint64_t ApiObjects::version() {
  const std::lock_guard lock(mutex_);
  return version_;
}

void ApiObjects::wake_all() {
  const std::lock_guard lock(mutex_);
  ++wakes_;
  changed_.notify_all();
}

std::uint64_t ApiObjects::wakes() {
  const std::lock_guard lock(mutex_);
  return wakes_;
}

}  // namespace alcove::test
