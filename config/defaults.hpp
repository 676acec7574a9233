// Defaults: what `alcove up` runs without a config: the demo app on this machine, for who is there.
// Called by: alcove/. Pure, any thread.
#pragma once

#include "config/settings.hpp"

#include <string>

namespace alcove {

Endpoint default_listen();  // 127.0.0.1:8080, also when a config has no `listen`
// `executable`: the path of this program; the demo app is beside it.
SettingsPtr default_settings(const std::string& executable);

}  // namespace alcove
