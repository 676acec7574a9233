#include "lifecycle/reap_policy.hpp"

namespace alcove {

ReapDecision reap_decision(const Session& session) {
  switch (session.state) {
    case State::ready: {
      // `due` is the earlier of the two ends, by the store's clock: comparing it needs no clock of ours.
      const bool limited = session.policy.max_lifetime.count() > 0;
      const bool lifetime = limited && session.due >= session.ready_since + session.policy.max_lifetime;
      return {ReapStep::drain, lifetime ? EndCause::lifetime : EndCause::idle};
    }
    case State::draining:
      return {ReapStep::begin_stop, session.cause};
    case State::stopping:
      return {ReapStep::stop_again, session.cause};
    case State::absent:
    case State::pending:
    case State::starting:
    case State::failed:
      return {};
  }
  return {};
}

bool pressing(State state, EndCause cause) {
  return state == State::draining && (cause == EndCause::deleted || cause == EndCause::lifetime);
}

}  // namespace alcove
