// What a session takes over from its app's settings when a generation is created. Pure, any thread.
#pragma once

#include "config/settings.hpp"
#include "store/session.hpp"

namespace alcove {

inline SessionPolicy policy_of(const AppSettings& app) {
  return {app.idle_timeout, app.max_lifetime, app.drain_grace, app.stop_grace};
}

}  // namespace alcove
