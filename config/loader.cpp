#include "config/loader.hpp"

#include "base/text.hpp"
#include "config/defaults.hpp"
#include "config/files.hpp"
#include "config/reading.hpp"
#include "config/schema.hpp"
#include "config/validate.hpp"

#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace alcove {
namespace {

constexpr std::size_t kMostConfig = 4 << 20;

LoadResult only_fault(LoadError fault) {
  LoadResult out;
  out.faults.push_back(std::move(fault));
  return out;
}

void by_line(std::vector<LoadError>& errors) {
  std::stable_sort(errors.begin(), errors.end(),
                   [](const LoadError& a, const LoadError& b) { return a.line < b.line; });
}

// Hears where documents begin, and nothing else.
class DocumentStarts final : public YAML::EventHandler {
 public:
  int line = 0;  // of the last one

 private:
  void OnDocumentStart(const YAML::Mark& mark) override { line = mark.line + 1; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
  }
  void OnMapEnd() override {}
};

// The line of the second document, 0 if there is none. YAML::LoadAll cannot be asked: of some texts ("a" ,:b)
// yaml-cpp 0.7 makes documents without end, until memory has one.
int second_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStarts starts;
  return parser.HandleNextDocument(starts) && parser.HandleNextDocument(starts) ? starts.line : 0;
}

LoadResult load_document(const YAML::Node& document, const std::string& name, const EnvReader& env) {
  Reading reading{name, env, {}, {}, {}, {}};
  auto settings = std::make_shared<Settings>();
  settings->file = name;
  settings->listen.push_back({default_listen(), std::nullopt});
  const Value root(reading, document, 1, "", "");
  read_settings(root, *settings);
  if (document.IsMap() || document.IsNull()) validate(*settings, reading);

  LoadResult out;
  by_line(reading.faults);
  by_line(reading.warnings);
  if (reading.faults.empty()) out.settings = std::move(settings);
  out.faults = std::move(reading.faults);
  out.warnings = std::move(reading.warnings);
  out.known_keys = std::move(reading.known_keys);
  return out;
}

}  // namespace

std::string to_string(const LoadError& error) {
  std::string out = error.file;
  if (error.line > 0) out += ":" + std::to_string(error.line);
  out += ": ";
  if (!error.key.empty()) out += error.key + ": ";
  return out + error.text;
}

std::optional<std::string> process_env(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

LoadResult load_settings_text(const std::string& text, const std::string& name, const EnvReader& env) {
  if (!is_utf8(text)) return only_fault({name, 0, "", "is not a text in UTF-8"});
  try {
    if (const int line = second_document(text); line > 0)
      return only_fault({name, line, "", "a second YAML document begins here, and there must be one"});
    return load_document(YAML::Load(text), name, env);
  } catch (const YAML::Exception& error) {
    const int line = error.mark.is_null() ? 0 : error.mark.line + 1;
    return only_fault({name, line, "", "is not YAML: " + printable(error.msg, 200)});
  }
}

LoadResult load_settings(const std::string& path, const EnvReader& env) {
  const auto text = read_file(path, kMostConfig);
  if (!text) return only_fault({path, 0, "", text.error().text});
  return load_settings_text(*text, path, env);
}

Judgement judge_settings(const Settings& settings, const std::string& name) {
  Reading reading{name, process_env, {}, {}, {}, {}};
  validate(settings, reading);
  return {std::move(reading.faults), std::move(reading.warnings)};
}

}  // namespace alcove
