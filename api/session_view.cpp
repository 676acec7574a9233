#include "api/session_view.hpp"

#include "config/units.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace alcove {
namespace {

std::string ago(WallTime then, WallTime now) {
  return format_rough(std::max(now - then, Millis{0}));
}

std::string until(WallTime then, WallTime now) {
  return format_rough(std::max(then - now, Millis{0}));
}

std::string explain_ready(const Session& session, WallTime now) {
  std::string out = session.last_activity == WallTime{}
                        ? "not used yet"
                        : "last used " + ago(session.last_activity, now) + " ago";
  if (!session.activity.empty()) out += " (" + session.activity + ")";
  const bool never_idle = session.pinned || session.policy.idle_timeout == Millis{0};
  const WallTime lifetime_end = session.ready_since + session.policy.max_lifetime;
  if (session.policy.max_lifetime > Millis{0} && (never_idle || session.due >= lifetime_end))
    return out + "; goes in " + until(lifetime_end, now) + ", when its lifetime is over";
  if (session.pinned) return out + "; pinned, so it does not go by itself";
  if (never_idle) return out + "; has no idle time-out, so it does not go by itself";
  const WallTime idle_end = session.last_activity + session.policy.idle_timeout;
  if (session.busy_until > now)
    return out + "; busy for " + until(session.busy_until, now) + " more, goes in " +
           until(std::max(idle_end, session.busy_until), now) + " unless it is used again";
  return out + "; goes in " + until(idle_end, now) + " unless it is used again";
}

std::string explain_draining(const Session& session, WallTime now) {
  if (session.cause == EndCause::idle)
    return "was idle; stops in " + until(session.due, now) + " unless it is used again";
  const std::string why = session.cause == EndCause::lifetime ? "its lifetime is over" : "it was stopped";
  return why + "; stops as soon as no gateway can reach it";
}

std::string explain_stopping(const Session& session) {
  std::string out = "its pod is being stopped";
  switch (session.cause) {
    case EndCause::idle:
      out += ", it was idle";
      break;
    case EndCause::lifetime:
      out += ", its lifetime was over";
      break;
    case EndCause::deleted:
      out += ", somebody stopped it";
      break;
    case EndCause::none:
    case EndCause::lost:
    case EndCause::failed:
      break;
  }
  return session.wanted ? out + "; the next one starts at once, since somebody waits" : out;
}

nlohmann::json moment(WallTime time) {
  return time == WallTime{} ? nlohmann::json(nullptr) : nlohmann::json(to_unix_ms(time));
}

}  // namespace

std::string explain(const Session& session, const QueuePlace& place, WallTime now) {
  switch (session.state) {
    case State::absent:
      return session.reason.empty() ? "has no pod" : "has no pod: " + session.reason;
    case State::pending:
      if (place.place == 0) return "waits for its start";
      return "waits for its start, at place " + std::to_string(place.place) + " of " +
             std::to_string(place.queued);
    case State::starting:
      return "its pod has been starting for " + ago(session.changed, now);
    case State::ready:
      return explain_ready(session, now);
    case State::draining:
      return explain_draining(session, now);
    case State::stopping:
      return explain_stopping(session);
    case State::failed: {
      const std::string again = session.retry_at > now
                                    ? "; can be tried again in " + until(session.retry_at, now)
                                    : "; can be tried again";
      return "did not start: " + session.reason + again;
    }
  }
  return {};
}

nlohmann::json to_json(const Session& session, const QueuePlace& place, WallTime now) {
  nlohmann::json out{
      {"key", session.key.text()},
      {"app", session.app},
      {"user", session.user},
      {"state", name_of(session.state)},
      {"generation", session.generation},
      {"cause", name_of(session.cause)},
      {"reason", session.reason},
      {"wanted", session.wanted},
      {"pinned", session.pinned},
      {"busy_until", moment(session.busy_until)},
      {"failures", session.failures},
      {"created", moment(session.created)},
      {"ready_since", moment(session.ready_since)},
      {"changed", moment(session.changed)},
      {"last_activity", moment(session.last_activity)},
      {"activity", session.activity},
      {"retry_at", moment(session.retry_at)},
      {"due", moment(session.due)},
      {"now", to_unix_ms(now)},
      {"why", explain(session, place, now)},
      {"policy",
       {{"idle_timeout_ms", session.policy.idle_timeout.count()},
        {"max_lifetime_ms", session.policy.max_lifetime.count()},
        {"drain_grace_ms", session.policy.drain_grace.count()},
        {"stop_grace_ms", session.policy.stop_grace.count()}}},
  };
  const bool has_pod = !session.pod_uid.empty();
  out["pod"] = has_pod ? nlohmann::json{{"endpoint", to_string(session.endpoint)}, {"uid", session.pod_uid}}
                       : nlohmann::json(nullptr);
  const bool goes =
      session.due != WallTime{} && (session.state == State::ready || session.state == State::draining);
  out["goes_in_ms"] =
      goes ? nlohmann::json(std::max<Millis::rep>((session.due - now).count(), 0)) : nlohmann::json(nullptr);
  if (place.place > 0) out["queue"] = {{"place", place.place}, {"queued", place.queued}};
  return out;
}

}  // namespace alcove
