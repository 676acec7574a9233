#include "config/json_from_yaml.hpp"

#include "base/text.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <cstdlib>

namespace alcove {
namespace {

using nlohmann::json;
constexpr int kDeepest = 64;
constexpr int kMostNodes = 10'000;  // aliases can name a node again and again, and even from inside itself

// YAML 1.2, 10.3.2 "Tag Resolution", for what JSON can hold.
json plain(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  std::int64_t whole = 0;
  const char* end = text.data() + text.size();
  if (const auto [at, ec] = std::from_chars(text.data(), end, whole); ec == std::errc{} && at == end)
    return whole;
  const bool numeric = text.find_first_not_of("0123456789+-.eE") == std::string::npos &&
                       text.find_first_of("0123456789") != std::string::npos;
  if (!numeric) return text;
  char* stopped = nullptr;
  const double number = std::strtod(text.c_str(), &stopped);
  if (*stopped != '\0' || !std::isfinite(number)) return text;
  return number;
}

class Converter {
 public:
  Converter(const ExpandText& expand, const YamlFault& fault) : expand_(expand), fault_(fault) {}

  json convert(const YAML::Node& node, int depth) {
    if (failed_) return nullptr;
    if (depth > kDeepest || ++nodes_ > kMostNodes) {
      fail(node, depth > kDeepest ? "is nested too deeply" : "is too large");
      return nullptr;
    }
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return scalar(node);
      case YAML::NodeType::Sequence: {
        json out = json::array();
        for (const auto& one : node) out.push_back(convert(one, depth + 1));
        return out;
      }
      case YAML::NodeType::Map: {
        json out = json::object();
        for (const auto& entry : node) {
          if (!entry.first.IsScalar()) {
            fail(entry.first, "a key must be text");
          } else if (out.contains(entry.first.Scalar())) {
            fail(entry.first, "\"" + printable(entry.first.Scalar(), 80) + "\" is here a second time");
          } else {
            out[entry.first.Scalar()] = convert(entry.second, depth + 1);
          }
        }
        return out;
      }
      default:
        return nullptr;
    }
  }
  bool failed() const { return failed_; }

 private:
  json scalar(const YAML::Node& node) {
    const auto text = expand_(node.Scalar());
    if (!text || !is_utf8(*text)) {
      if (text) fail(node, "must be UTF-8");
      failed_ = true;
      return nullptr;
    }
    // "!" is yaml-cpp's mark of what stood in quotes, or in a block.
    return node.Tag() == "!" ? json(*text) : plain(*text);
  }
  void fail(const YAML::Node& at, const std::string& text) {
    failed_ = true;
    fault_(at, text);
  }

  const ExpandText& expand_;
  const YamlFault& fault_;
  int nodes_ = 0;
  bool failed_ = false;
};

}  // namespace

std::optional<std::string> json_from_yaml(const YAML::Node& node, const ExpandText& expand,
                                          const YamlFault& fault) {
  Converter converter(expand, fault);
  const json out = converter.convert(node, 0);
  if (converter.failed()) return std::nullopt;
  return out.dump();
}

}  // namespace alcove
