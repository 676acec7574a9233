// Loader: a YAML file to Settings, or the list of everything that is wrong with it, each with file, line and
// key. Called by: alcove/ at start, on SIGHUP and for `alcove check`; tests. Thread: any, no state. Fails
// with: faults in the answer; it throws nothing. In every value ${NAME} is replaced from the environment
// ("$${" is a plain "${"). Secrets (secret, token, password, a redis URL) may be "file:/path": the content of
// that file without the newline at its end.
#pragma once

#include "config/settings.hpp"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace alcove {

struct LoadError {
  std::string file;
  int line = 0;      // from 1; 0: the file as a whole
  std::string key;   // dotted: apps.demo.idle_timeout, listen[0].address; empty: none
  std::string text;  // what is wrong and what would be right; never a secret
};

// file:12: apps.demo.idle_timeout: "10 minutes" is not a duration, such as 30s, 10m or 12h
std::string to_string(const LoadError& error);

using EnvReader = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> process_env(const std::string& name);

struct LoadResult {
  SettingsPtr settings;             // null if there are faults
  std::vector<LoadError> faults;    // all that were found, in the order of lines
  std::vector<LoadError> warnings;  // it runs, but probably not as meant
  std::set<std::string>
      known_keys;  // every key that the loader asked for, with [] and * for indexes and names
};

LoadResult load_settings(const std::string& path, const EnvReader& env);
// The same for a text that is not in a file; `name` stands for the file in messages.
LoadResult load_settings_text(const std::string& text, const std::string& name, const EnvReader& env);

// What keys mean together, once more: after the command line has changed some. Without lines.
struct Judgement {
  std::vector<LoadError> faults;
  std::vector<LoadError> warnings;
};
Judgement judge_settings(const Settings& settings, const std::string& name);

}  // namespace alcove
