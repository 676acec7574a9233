// How lines of the log name a session: all of lifecycle/ the same way, so that one search finds its whole
// life.
#pragma once

#include "store/session.hpp"

#include <fmt/format.h>

#include <string>

namespace alcove {

inline std::string who(const SessionKey& key, Generation generation) {
  return fmt::format("session {} generation {}", key.text(), generation);
}

inline std::string who(const Session& session) {
  return who(session.key, session.generation);
}

}  // namespace alcove
