#include "config/reading.hpp"

#include "base/text.hpp"
#include "config/files.hpp"
#include "config/json_from_yaml.hpp"
#include "config/units.hpp"

#include <algorithm>
#include <charconv>

namespace alcove {
namespace {

std::string kind_of(const YAML::Node& node) {
  if (node.IsSequence()) return "a list";
  if (node.IsMap()) return "a mapping";
  if (node.IsNull()) return "nothing";
  return "text";
}

int line_of(const YAML::Node& node) {
  return node.Mark().is_null() ? 0 : node.Mark().line + 1;
}

}  // namespace

std::string quoted(std::string_view text) {
  return '"' + printable(text, 80) + '"';
}

std::string one_of(const std::vector<std::string>& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += words[i];
  }
  return out;
}

std::string did_you_mean(std::string_view text, const std::vector<std::string>& known) {
  const std::string_view near = nearest(text, known);
  return near.empty() ? std::string{} : "; did you mean " + std::string(near) + "?";
}

// --- Reading
// ---------------------------------------------------------------------------------------------------

int Reading::line_of(std::string key) const {
  while (!key.empty()) {
    if (const auto at = lines.find(key); at != lines.end()) return at->second;
    const auto cut = key.find_last_of(".[");
    key.resize(cut == std::string::npos ? 0 : cut);
  }
  return 0;
}

void Reading::fault(int line, const std::string& key, std::string text) {
  faults.push_back({file, line, key, std::move(text)});
}

void Reading::fault_at(const std::string& key, std::string text) {
  const auto within = [](std::string_view inner, std::string_view outer) {
    return inner.starts_with(outer) &&
           (inner.size() == outer.size() || inner[outer.size()] == '.' || inner[outer.size()] == '[');
  };
  const bool follows = std::any_of(faults.begin(), faults.end(), [&](const LoadError& known) {
    return within(known.key, key) || within(key, known.key);
  });
  if (!follows) fault(line_of(key), key, std::move(text));
}

void Reading::warn_at(const std::string& key, std::string text) {
  warnings.push_back({file, line_of(key), key, std::move(text)});
}

// --- Value
// -----------------------------------------------------------------------------------------------------

Value::Value(Reading& reading, YAML::Node node, int line, std::string key, std::string pattern)
    : reading_(&reading),
      node_(node),
      present_(node_.IsDefined()),
      line_(line),
      key_(std::move(key)),
      pattern_(std::move(pattern)) {
  if (present_ && !key_.empty()) reading_->lines.emplace(key_, line_);
}

std::optional<std::string> Value::expand(const std::string& raw) const {
  std::string out;
  std::size_t at = 0;
  while (at < raw.size()) {
    const auto next = raw.find("${", at);
    if (next == std::string::npos) break;
    if (next > at && raw[next - 1] == '$') {
      out.append(raw, at, next - 1 - at).append("${");
      at = next + 2;
      continue;
    }
    out.append(raw, at, next - at);
    const auto end = raw.find('}', next);
    const std::string name = raw.substr(next + 2, end == std::string::npos ? end : end - next - 2);
    const bool valid =
        end != std::string::npos && !name.empty() &&
        name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
            std::string::npos;
    if (!valid) {
      fault("\"${" + printable(name, 40) + "\" is not ${NAME}; for a plain \"${\" write \"$${\"");
      return std::nullopt;
    }
    const auto value = reading_->env(name);
    if (!value) {
      fault("${" + name + "} is not set in the environment; for a plain \"${\" write \"$${\"");
      return std::nullopt;
    }
    out += *value;
    at = end + 1;
  }
  return out.append(raw, at, std::string::npos);
}

std::optional<std::string> Value::text(std::string_view wanted) const {
  if (!present_) return std::nullopt;
  if (!node_.IsScalar()) {
    fault("must be " + std::string(wanted) + ", but here is " + kind_of(node_));
    return std::nullopt;
  }
  auto expanded = expand(node_.Scalar());
  if (expanded && (!is_utf8(*expanded) || expanded->find('\0') != std::string::npos)) {
    fault("must be UTF-8 without NUL");
    return std::nullopt;
  }
  return expanded;
}

Value Value::nothing_under(const std::string& name) const {
  return {*reading_, YAML::Node(YAML::NodeType::Undefined), line_, key_ + "." + name, pattern_ + "." + name};
}

bool Value::read(std::string& out) const {
  auto read = text("text");
  if (read) out = std::move(*read);
  return read.has_value();
}

bool Value::read(bool& out) const {
  const auto read = text("true or false");
  if (!read) return false;
  if (*read != "true" && *read != "false") {
    fault(quoted(*read) + " is not true or false");
    return false;
  }
  out = *read == "true";
  return true;
}

bool Value::read(Millis& out, Range<Millis> range) const {
  const auto read = text(kDurationForm);
  if (!read) return false;
  const auto duration = parse_duration(*read);
  if (!duration) {
    fault(quoted(*read) + " is not " + std::string(kDurationForm));
    return false;
  }
  if (*duration < range.least || *duration > range.most) {
    fault(quoted(*read) + " must be from " + format_duration(range.least) + " to " +
          format_duration(range.most));
    return false;
  }
  out = *duration;
  return true;
}

bool Value::read(std::uint32_t& out, Range<std::uint32_t> range) const {
  const auto read = text("a whole number");
  if (!read) return false;
  std::uint64_t number = 0;
  const auto [end, ec] = std::from_chars(read->data(), read->data() + read->size(), number);
  const bool whole = !read->empty() && end == read->data() + read->size() &&
                     (ec == std::errc{} || ec == std::errc::result_out_of_range);
  if (!whole) {
    fault(quoted(*read) + " is not a whole number");
    return false;
  }
  if (ec != std::errc{} || number < range.least || number > range.most) {
    fault(quoted(*read) + " must be from " + std::to_string(range.least) + " to " +
          std::to_string(range.most));
    return false;
  }
  out = static_cast<std::uint32_t>(number);
  return true;
}

bool Value::read(std::uint16_t& out, Range<std::uint16_t> range) const {
  std::uint32_t wide = 0;
  if (!read(wide, Range<std::uint32_t>{range.least, range.most})) return false;
  out = static_cast<std::uint16_t>(wide);
  return true;
}

bool Value::read_size(std::uint64_t& out, Range<std::uint64_t> range) const {
  const auto read = text(kSizeForm);
  if (!read) return false;
  const auto size = parse_size(*read);
  if (!size) {
    fault(quoted(*read) + " is not " + std::string(kSizeForm));
    return false;
  }
  if (*size < range.least || *size > range.most) {
    fault(quoted(*read) + " must be from " + std::to_string(range.least) + " to " +
          std::to_string(range.most) + " bytes");
    return false;
  }
  out = *size;
  return true;
}

bool Value::read_secret(std::string& out) const {
  auto read = text("text");
  if (!read) return false;
  constexpr std::string_view kFile = "file:";
  if (read->starts_with(kFile)) {
    auto content = read_secret_file(read->substr(kFile.size()));
    if (!content) {
      fault(content.error().text);
      return false;
    }
    *read = std::move(*content);
  }
  out = std::move(*read);
  return true;
}

bool Value::read_json(std::string& out) const {
  if (!present_ || is_empty() || (is_mapping() && node_.size() == 0)) return false;
  if (!is_mapping()) {
    fault("must be a mapping (key: value), but here is " + kind_of(node_));
    return false;
  }
  const auto to_text = [this](const std::string& raw) { return expand(raw); };
  const auto to_fault = [this](const YAML::Node& at, const std::string& text) {
    reading_->fault(line_of(at), key_, text);
  };
  auto json = json_from_yaml(node_, to_text, to_fault);
  if (!json) return false;
  out = std::move(*json);
  return true;
}

bool Value::read_word(std::size_t& out, const std::vector<std::string>& words) const {
  const auto read = text(one_of(words));
  if (!read) return false;
  const auto at = std::find(words.begin(), words.end(), *read);
  if (at == words.end()) {
    fault(quoted(*read) + " is not " + one_of(words) + did_you_mean(*read, words));
    return false;
  }
  out = static_cast<std::size_t>(at - words.begin());
  return true;
}

std::vector<Value> Value::items(bool one) const {
  std::vector<Value> out;
  if (!present_) return out;
  if (one && node_.IsScalar()) {
    out.emplace_back(*reading_, node_, line_, key_, pattern_);
    return out;
  }
  if (!node_.IsSequence()) {
    fault("must be a list, but here is " + kind_of(node_));
    return out;
  }
  for (std::size_t i = 0; i < node_.size(); ++i)
    out.emplace_back(*reading_, node_[i], line_of(node_[i]), key_ + "[" + std::to_string(i) + "]",
                     pattern_ + "[]");
  return out;
}

// --- Mapping
// ---------------------------------------------------------------------------------------------------

Mapping::Mapping(const Value& value) : value_(value) {
  if (!value_.present() || value_.is_empty()) return;
  if (!value_.is_mapping()) {
    value_.fault("must be a mapping (key: value), but here is " + kind_of(value_.node_));
    return;
  }
  const std::string prefix = value_.key_.empty() ? "" : value_.key_ + ".";
  for (const auto& entry : value_.node_) {
    const int line = line_of(entry.first);
    if (!entry.first.IsScalar()) {
      value_.reading_->fault(line, value_.key_, "a key must be text, but here is " + kind_of(entry.first));
      continue;
    }
    const std::string name = entry.first.Scalar();
    const auto twin =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
    if (twin != entries_.end()) {
      value_.reading_->fault(line, prefix + printable(name, 80),
                             "is here a second time; the first is in line " + std::to_string(twin->line));
      continue;
    }
    entries_.push_back({name, entry.second, line});
  }
}

Value Mapping::at(const std::string& key) {
  asked_.push_back(key);
  const std::string path = value_.key_.empty() ? key : value_.key_ + "." + key;
  const std::string pattern = value_.pattern_.empty() ? key : value_.pattern_ + "." + key;
  value_.reading_->known_keys.insert(pattern);
  for (Entry& entry : entries_) {
    if (entry.name != key) continue;
    entry.asked = true;
    return {*value_.reading_, entry.node, entry.line, path, pattern};
  }
  return {*value_.reading_, YAML::Node(YAML::NodeType::Undefined), value_.line_, path, pattern};
}

std::vector<std::pair<std::string, Value>> Mapping::entries() {
  std::vector<std::pair<std::string, Value>> out;
  for (Entry& entry : entries_) {
    entry.asked = true;
    const std::string path = value_.key_ + "." + printable(entry.name, 80);
    out.emplace_back(entry.name,
                     Value(*value_.reading_, entry.node, entry.line, path, value_.pattern_ + ".*"));
  }
  return out;
}

void Mapping::refuse_unknown() {
  const std::string prefix = value_.key_.empty() ? "" : value_.key_ + ".";
  for (const Entry& entry : entries_) {
    if (entry.asked) continue;
    std::string text = "is not a key that is known here" + did_you_mean(entry.name, asked_);
    if (nearest(entry.name, asked_).empty()) text += "; there are: " + one_of(asked_);
    value_.reading_->fault(entry.line, prefix + printable(entry.name, 80), std::move(text));
  }
}

std::optional<Choice> choose(const Value& value, const std::vector<std::string>& kinds) {
  if (!value.present()) return std::nullopt;
  if (value.is_text()) {
    std::size_t kind = 0;
    if (!value.read_word(kind, kinds)) return std::nullopt;
    return Choice{kind, value.nothing_under(kinds[kind])};
  }
  const std::size_t faults_before = value.reading().faults.size();
  Mapping mapping(value);
  std::optional<Choice> chosen;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const Value under = mapping.at(kinds[i]);
    if (!under.present()) continue;
    if (chosen)
      under.fault("only one of " + one_of(kinds) + " can stand here");
    else
      chosen.emplace(Choice{i, under});
  }
  mapping.refuse_unknown();
  const bool silent = value.reading().faults.size() == faults_before;
  if (!chosen && silent) value.fault("must be " + one_of(kinds) + ", but here is nothing");
  return chosen;
}

}  // namespace alcove
