// Reading: one YAML document on its way to Settings. Value is a node that knows its key and line; Mapping is
// a node whose keys are asked for one by one, so that what was not asked for is an unknown key. Inside this
// room only. Called by: loader, schema, validate. Thread: one. Owns: the faults found so far. Fails with:
// nothing; a fault is noted and the output keeps its default, so that one run finds all of them.
#pragma once

#include "config/loader.hpp"

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace alcove {

struct Reading {
  std::string file;
  EnvReader env;
  std::vector<LoadError> faults;
  std::vector<LoadError> warnings;
  std::set<std::string> known_keys;
  std::map<std::string, int> lines;  // where each key stands that the file has

  void fault(int line, const std::string& key, std::string text);
  // At the key's line, or that of the nearest key above it that the file has. Not noted if a fault is known
  // there already: then the settings hold a default in its place, and this one only follows from it.
  void fault_at(const std::string& key, std::string text);
  void warn_at(const std::string& key, std::string text);

 private:
  int line_of(std::string key) const;
};

template <class T>
struct Range {
  T least;
  T most;
};

class Value {
 public:
  Value(Reading& reading, YAML::Node node, int line, std::string key, std::string pattern);

  Value(const Value&) = default;
  Value& operator=(const Value&) = delete;  // assigning a YAML::Node changes the document

  bool present() const { return present_; }
  bool is_text() const { return present_ && node_.IsScalar(); }
  bool is_mapping() const { return present_ && node_.IsMap(); }
  bool is_empty() const { return present_ && node_.IsNull(); }
  const std::string& key() const { return key_; }
  Reading& reading() const { return *reading_; }
  void fault(std::string text) const { reading_->fault(line_, key_, std::move(text)); }

  // Each writes `out` only if the value is there and right, and answers whether it did.
  bool read(std::string& out) const;
  bool read(bool& out) const;
  bool read(Millis& out, Range<Millis> range) const;
  bool read(std::uint32_t& out, Range<std::uint32_t> range) const;
  bool read(std::uint16_t& out, Range<std::uint16_t> range) const;
  bool read_size(std::uint64_t& out, Range<std::uint64_t> range) const;
  bool read_secret(std::string& out) const;
  // A mapping with anything in it, as JSON.
  bool read_json(std::string& out) const;
  // The place of the text in `words`.
  bool read_word(std::size_t& out, const std::vector<std::string>& words) const;
  // A list; or, if `one` is allowed, a single text that stands for a list of itself.
  std::vector<Value> items(bool one = false) const;
  Value nothing_under(const std::string& name) const;  // a value that is not there

 private:
  friend class Mapping;
  std::optional<std::string> text(std::string_view wanted) const;
  std::optional<std::string> expand(const std::string& raw) const;

  Reading* reading_;
  YAML::Node node_;
  bool present_;
  int line_;
  std::string key_;
  std::string pattern_;
};

class Mapping {
 public:
  // A value that is not there (or empty) is a mapping without keys: all its keys keep their defaults.
  explicit Mapping(const Value& value);

  Value at(const std::string& key);
  // Names that the user chose (apps, env, files).
  std::vector<std::pair<std::string, Value>> entries();
  void refuse_unknown();

 private:
  struct Entry {
    std::string name;
    YAML::Node node;
    int line;
    bool asked = false;
  };
  Value value_;
  std::vector<Entry> entries_;
  std::vector<std::string> asked_;
};

// One of several kinds: "memory", or a mapping with a single key that names the kind, {redis: {...}}.
struct Choice {
  std::size_t kind;  // in `kinds`
  Value value;       // what stands under it; not present for a mere word
};
std::optional<Choice> choose(const Value& value, const std::vector<std::string>& kinds);

std::string quoted(std::string_view text);                  // "text", safe to print and not too long
std::string one_of(const std::vector<std::string>& words);  // a, b or c
std::string did_you_mean(std::string_view text,
                         const std::vector<std::string>& known);  // "; did you mean x?" or ""

}  // namespace alcove
