// What the reaper does next with a session whose `due` has come. Pure: record in, decision out. Any thread.
#pragma once

#include "store/session.hpp"

#include <cstdint>

namespace alcove {

enum class ReapStep : std::uint8_t {
  none,        // nothing to do in this state
  drain,       // ready: take it out of the routes, for `cause`
  begin_stop,  // draining: if no gateway can reach it any more
  stop_again,  // stopping: whoever stopped it is late
};

struct ReapDecision {
  ReapStep step = ReapStep::none;
  EndCause cause = EndCause::none;  // drain: idle or lifetime
};

ReapDecision reap_decision(const Session& session);

// Somebody waits for the end of this drain (deleted) or for what follows it (lifetime): worth asking often.
bool pressing(State state, EndCause cause);

}  // namespace alcove
