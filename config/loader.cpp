#include "config/loader.hpp"

#include "base/text.hpp"
#include "config/defaults.hpp"
#include "config/files.hpp"
#include "config/reading.hpp"
#include "config/schema.hpp"
#include "config/validate.hpp"

#include <algorithm>
#include <cstdlib>

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
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1)
      return only_fault({name, 0, "", "holds several YAML documents (\"---\"), and must hold one"});
    return load_document(documents.empty() ? YAML::Node() : documents.front(), name, env);
  } catch (const YAML::Exception& error) {
    const int line = error.mark.is_null() ? 0 : error.mark.line + 1;
    return only_fault({name, line, "", "is not YAML: " + error.msg});
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
