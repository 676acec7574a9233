// Configuration: the settings of this run: the file (or the built-in ones), changed by the command line,
// judged again. Called by: main at start, app on SIGHUP, `alcove check`. Any thread. Fails with: faults, each
// a line for people.
#pragma once

#include "alcove/roles.hpp"
#include "config/loader.hpp"

#include <optional>
#include <string>
#include <vector>

namespace alcove {

// What the command line says; empty: nothing.
struct Overrides {
  std::vector<std::string> listen;
  std::string admin_listen;
  std::string store;
  std::string state;  // directory of the local runtime
  std::string log_format;
  std::string log_level;
  std::optional<unsigned> workers;
};

struct Configuration {
  SettingsPtr settings;  // null if there are faults
  std::vector<std::string> faults;
  std::vector<std::string> warnings;
};

// `file` empty: the built-in settings, whose demo app is beside `executable`.
Configuration configure(const std::string& file, const std::string& executable, const Overrides& overrides,
                        const Roles& roles);

}  // namespace alcove
