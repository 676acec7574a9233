// Reload: which of the changed settings a running process can take over, and which need a restart.
// Called by: alcove/ on SIGHUP. Pure, any thread.
#pragma once

#include "config/settings.hpp"

#include <string>
#include <vector>

namespace alcove {

struct ReloadPlan {
  SettingsPtr settings;              // the new ones, with the running ones where a restart is needed
  std::vector<std::string> applied;  // keys that changed and take effect now: "apps.demo", "limits"
  std::vector<std::string> ignored;  // keys that changed and wait for a restart: "listen", "store"
};

ReloadPlan plan_reload(const Settings& running, const Settings& next);

}  // namespace alcove
