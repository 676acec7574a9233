// The record of a session and the words of its life, as the store keeps them.
//
//   absent --acquire--> pending --claim--> starting --publish_ready--> ready --drain--> draining
//                                             |                          ^                |   |
//                                             +--> failed(reason)        +---- rescue ----+   |
//   absent <--gone-- stopping <--begin_stop--------------------------------------------------+
//
// Source: docs/architecture.md, "The life of a session". Plain data, any thread.
#pragma once

#include "base/endpoint.hpp"
#include "base/session_key.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace alcove {

enum class State : std::uint8_t { absent, pending, starting, ready, draining, stopping, failed };

std::string_view name_of(State state);
std::optional<State> state_from(std::string_view name);

// Why a pod is or was taken away. `idle` alone can be rescued; the others end the session whatever its
// activity.
enum class EndCause : std::uint8_t { none, idle, lifetime, deleted, lost, failed };

std::string_view name_of(EndCause cause);
std::optional<EndCause> end_cause_from(std::string_view name);

// The policy that a session carries with it, so that store and reaper need no config of apps. Milliseconds.
struct SessionPolicy {
  Millis idle_timeout{600'000};  // from the last activity to draining; 0: never idle
  Millis max_lifetime{0};        // from ready to draining, whatever the activity; 0: no limit
  Millis drain_grace{5'000};     // how long an idle drain can be rescued
  Millis stop_grace{10'000};     // from the polite to the hard end of the pod
};

struct Session {
  SessionKey key;
  std::string app;   // as in the config
  std::string user;  // owner, as authenticated (checked UTF-8, never a label by itself)
  State state = State::absent;
  Generation generation = 0;
  Endpoint endpoint;    // in ready, draining, stopping
  std::string pod_uid;  // in ready, draining, stopping; from then on the fence of every connection
  EndCause cause = EndCause::none;  // draining, stopping: why; absent, failed: why the last generation ended
  std::string reason;               // failed, absent: for people
  bool wanted = false;  // stopping or a forced drain: somebody waits, the next generation follows at once
  bool pinned = false;  // never idle
  WallTime busy_until;  // not idle before, though nothing may be seen of it: the app or an operator said so
  std::uint32_t failures = 0;  // failed starts in a row
  SessionPolicy policy;
  WallTime created;        // this generation was asked for (pending)
  WallTime ready_since;    // this generation became ready
  WallTime changed;        // last transition
  WallTime last_activity;  // last mark
  std::string activity;    // what the last mark was: "request", "body", "websocket", "acquire"
  WallTime retry_at;       // failed: no new start before
  WallTime due;            // when the reaper looks at it next: end of idle time, lifetime or grace
};

// What is pushed to every subscriber on a transition. Small: it is sent to every worker of every gateway.
struct Transition {
  SessionKey key;
  Generation generation = 0;
  State state = State::absent;
  EndCause cause = EndCause::none;
  Endpoint endpoint;    // ready
  std::string pod_uid;  // ready
  std::string reason;   // failed
};

// A drain that is not for idleness cannot be rescued: who comes now waits for the next generation.
inline bool rescuable(State state, EndCause cause) {
  return state == State::draining && cause == EndCause::idle;
}

}  // namespace alcove
