// The parts of a request target of the admin listener. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "base/session_key.hpp"
#include "base/time.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace alcove {

struct Target {
  enum class Kind : std::uint8_t { health, ready, metrics, sessions, session, logs, nothing };
  Kind kind = Kind::nothing;
  std::string_view query;  // into what was parsed
  SessionKey key;          // session, logs
};

// Errc::invalid: a key that cannot be one.
Result<Target> parse_target(std::string_view target);
// "?name=value": the value decoded; empty if it is not there.
std::string query_value(std::string_view query, std::string_view name);
bool query_flag(std::string_view query, std::string_view name);  // ?name, ?name=1, ?name=true
// ?wait=30s, at most `most`; absent is 0. Errc::invalid: not a duration.
Result<Millis> query_duration(std::string_view query, std::string_view name, Millis most);

}  // namespace alcove
