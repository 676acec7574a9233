// How a session is shown: as JSON for programs, and in words: why it lives and when it will go.
// Called by: admin_routes. Pure, any thread.
#pragma once

#include "store/session.hpp"
#include "store/store.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace alcove {

// "last used 42s ago (request); goes in 9m18s unless it is used again"
std::string explain(const Session& session, const QueuePlace& place, WallTime now);
// Times are milliseconds since 1970 (UTC), durations milliseconds; null: not set. `goes_in_ms`: until the
// next step of its end, if there is one.
nlohmann::json to_json(const Session& session, const QueuePlace& place, WallTime now);

}  // namespace alcove
