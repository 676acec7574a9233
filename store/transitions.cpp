#include "store/transitions.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace alcove::transitions {
namespace {

constexpr std::size_t kMaxWordBytes = 256;

Error stale(const Session& s, Generation meant) {
  return {Errc::stale, fmt::format("{} is {} in generation {}, not as generation {} was known", s.key.text(),
                                   name_of(s.state), s.generation, meant)};
}

void touch(Session& s, const std::string& what, WallTime when) {
  s.last_activity = when;
  s.activity = what;
}

void set_ready(Record& r, WallTime now) {
  Session& s = r.session;
  s.state = State::ready;
  s.cause = EndCause::none;
  s.reason.clear();
  s.changed = now;
  r.drain_epoch = 0;
  s.due = due_at(s);
}

void become_ready(Record& r, Endpoint endpoint, const std::string& pod_uid, WallTime now) {
  Session& s = r.session;
  s.endpoint = endpoint;
  s.pod_uid = pod_uid;
  s.ready_since = now;
  s.failures = 0;
  r.owner.clear();
  r.claim_end = {};
  set_ready(r, now);
}

void become_pending(Record& r, WallTime now) {
  Session& s = r.session;
  s.generation += 1;
  s.state = State::pending;
  s.cause = EndCause::none;
  s.reason.clear();
  s.endpoint = {};
  s.pod_uid.clear();
  s.wanted = false;
  s.created = now;
  s.changed = now;
  s.ready_since = {};
  s.retry_at = {};
  s.busy_until = {};
  s.due = {};
  r.drain_epoch = 0;
  touch(s, "acquire", now);
}

void become_stopping(Record& r, EndCause cause, WallTime now) {
  Session& s = r.session;
  s.state = State::stopping;
  s.cause = cause;
  s.changed = now;
  s.due = now + s.policy.stop_grace + kStopSlack;
  r.drain_epoch = 0;
  r.owner.clear();
  r.claim_end = {};
}

void become_absent(Record& r, EndCause cause, const std::string& reason, WallTime now) {
  Session& s = r.session;
  s.state = State::absent;
  s.cause = cause;
  s.reason = reason.substr(0, kMaxReasonBytes);
  s.endpoint = {};
  s.pod_uid.clear();
  s.wanted = false;
  s.changed = now;
  s.retry_at = {};
  s.due = {};
  r.drain_epoch = 0;
  if (cause == EndCause::deleted) {
    s.pinned = false;
    s.failures = 0;
  }
}

void end_or_begin_next(Record& r, const std::string& reason, WallTime now) {
  if (r.session.wanted)
    become_pending(r, now);
  else
    become_absent(r, r.session.cause, reason, now);
}

void set_busy(Session& s, WallTime from, Millis busy_for) {
  s.busy_until = busy_for > Millis{0} ? from + busy_for : WallTime{};
}

// Put to rest, or never there. What was lost while it was in use is not: its user is still there.
bool at_rest(const Session& s, WallTime now) {
  if (s.cause != EndCause::lost && s.cause != EndCause::failed) return true;
  return s.policy.idle_timeout.count() > 0 && now >= s.last_activity + s.policy.idle_timeout;
}

void take_order(Session& s, const AcquireRequest& request) {
  s.app = request.app;
  s.user = request.user;
  s.policy = request.policy;
}

}  // namespace

WallTime idle_at(const Session& s) {
  if (s.pinned || s.policy.idle_timeout.count() == 0) return {};
  return std::max(std::max(s.last_activity, s.ready_since) + s.policy.idle_timeout, s.busy_until);
}

WallTime due_at(const Session& s) {
  if (s.state == State::draining)
    return s.cause == EndCause::idle ? s.changed + s.policy.drain_grace : s.changed;
  if (s.state != State::ready) return {};
  const WallTime idle = idle_at(s);
  if (s.policy.max_lifetime.count() == 0) return idle;
  const WallTime end = s.ready_since + s.policy.max_lifetime;
  return idle == WallTime{} ? end : std::min(idle, end);
}

bool is_same_life(const Session& a, const Session& b) {
  return a.state == b.state && a.generation == b.generation && a.cause == b.cause;
}

Transition transition_of(const Session& s) {
  Transition t;
  t.key = s.key;
  t.generation = s.generation;
  t.state = s.state;
  t.cause = s.cause;
  if (s.state == State::ready) {
    t.endpoint = s.endpoint;
    t.pod_uid = s.pod_uid;
  }
  if (s.state == State::failed) t.reason = s.reason;
  return t;
}

Result<void> acquire(Record& r, const AcquireRequest& request, WallTime now) {
  Session& s = r.session;
  switch (s.state) {
    case State::failed:
      if (now < s.retry_at) return {};
      [[fallthrough]];
    case State::absent:
      if (!request.may_start && at_rest(s, now)) return {};
      take_order(s, request);
      become_pending(r, now);
      return {};
    case State::pending:
    case State::starting:
    case State::ready:
      touch(s, "acquire", now);
      s.due = due_at(s);
      return {};
    case State::draining:
      if (rescuable(s.state, s.cause)) {
        touch(s, "acquire", now);
        set_ready(r, now);
        return {};
      }
      [[fallthrough]];
    case State::stopping:
      if (!request.may_start) return {};
      take_order(s, request);
      s.wanted = true;
      return {};
  }
  return Error{Errc::internal, "no rule for this state"};
}

Result<void> mark(Record& r, const Beat::Mark& mark, WallTime now) {
  Session& s = r.session;
  const bool running = s.state == State::ready || rescuable(s.state, s.cause);
  if (!running || s.generation != mark.generation) return stale(s, mark.generation);
  const WallTime when = now - std::max(mark.age, Millis{0});
  const bool later = when > s.last_activity;
  if (later) touch(s, mark.what, when);
  if (mark.busy_for) set_busy(s, when, *mark.busy_for);
  if (s.state == State::ready)
    s.due = due_at(s);
  else if (later || s.busy_until > now)
    set_ready(r, now);
  return {};
}

Result<void> claim(Record& r, const ClaimRequest& request, WallTime now) {
  Session& s = r.session;
  if (s.state == State::pending) {
    s.state = State::starting;
    s.changed = now;
  } else if (s.state != State::starting || now < r.claim_end) {
    return stale(s, s.generation);
  }
  r.owner = request.provisioner;
  r.claim_end = now + request.lease;
  return {};
}

bool owns(const Record& r, const std::string& provisioner) {
  return r.session.state == State::starting && r.owner == provisioner;
}

Result<void> publish_ready(Record& r, Generation generation, Endpoint endpoint, const std::string& pod_uid,
                           WallTime now) {
  Session& s = r.session;
  if (auto checked = check_word("the pod's UID", pod_uid); !checked) return checked;
  if (s.generation != generation) return stale(s, generation);
  // Told again, because the first answer got lost, or by two provisioners that adopted the same pod.
  const bool running = s.state == State::ready || rescuable(s.state, s.cause);
  if (running && s.pod_uid == pod_uid && s.endpoint == endpoint) return {};
  if (s.state != State::starting) return stale(s, generation);
  become_ready(r, endpoint, pod_uid, now);
  return {};
}

Result<void> publish_failed(Record& r, Generation generation, const std::string& reason, Millis retry_in,
                            WallTime now) {
  Session& s = r.session;
  if (s.generation != generation || s.state != State::starting) return stale(s, generation);
  s.state = State::failed;
  s.cause = EndCause::failed;
  s.reason = reason.substr(0, kMaxReasonBytes);
  s.failures += 1;
  s.changed = now;
  s.retry_at = now + retry_in;
  s.due = {};
  r.owner.clear();
  r.claim_end = {};
  return {};
}

Result<void> lost(Record& r, Generation generation, const std::string& pod_uid, const std::string& reason,
                  WallTime now) {
  Session& s = r.session;
  const bool has_pod = s.state == State::ready || s.state == State::draining || s.state == State::stopping;
  if (!has_pod || s.generation != generation) return stale(s, generation);
  if (!s.pod_uid.empty() && s.pod_uid != pod_uid) return stale(s, generation);
  if (s.state == State::ready || rescuable(s.state, s.cause))
    become_absent(r, EndCause::lost, reason, now);
  else
    end_or_begin_next(r, reason, now);
  return {};
}

Result<void> adopt(Record& r, const Session& pod, WallTime now) {
  Session& s = r.session;
  if (auto checked = check_word("the pod's UID", pod.pod_uid); !checked) return checked;
  if (s.state == State::ready && s.generation == pod.generation && s.pod_uid == pod.pod_uid) return {};
  // Generations only grow: a record of an earlier one was begun anew by somebody who came before the pod was
  // found again. One that remembers this generation or a later one knows that this pod was meant to end.
  const bool behind = s.generation < pod.generation &&
                      (s.state == State::absent || s.state == State::failed || s.state == State::starting);
  const bool unstarted = s.state == State::pending && s.generation <= pod.generation;
  if (!behind && !unstarted) return stale(s, pod.generation);
  s.wanted = false;
  s.retry_at = {};
  s.app = pod.app;
  s.user = pod.user;
  s.policy = pod.policy;
  s.generation = pod.generation;
  s.created = now;
  touch(s, "adopt", now);
  become_ready(r, pod.endpoint, pod.pod_uid, now);
  return {};
}

Result<void> hand_out_due(Record& r, WallTime now) {
  Session& s = r.session;
  if (s.state == State::stopping)
    s.due = now + s.policy.stop_grace + kStopSlack;
  else if (s.state != State::ready && s.state != State::draining)
    return stale(s, s.generation);
  return {};
}

Result<void> drain(Record& r, Generation generation, EndCause cause, std::uint64_t epoch, WallTime now) {
  Session& s = r.session;
  if (auto checked = check_drain_cause(cause); !checked) return checked;
  if (s.generation != generation) return stale(s, generation);
  const bool from_ready = s.state == State::ready;
  const bool forces = cause != EndCause::idle && rescuable(s.state, s.cause);
  if (from_ready && cause == EndCause::idle) {
    const WallTime idle = idle_at(s);
    if (idle == WallTime{}) return Error{Errc::busy, s.key.text() + " never gets idle"};
    if (now < idle)
      return Error{Errc::busy, fmt::format("{} is idle in {} ms", s.key.text(), (idle - now).count())};
  }
  if (from_ready || forces) {
    s.state = State::draining;
    s.cause = cause;
    s.changed = now;
    s.due = due_at(s);
    r.drain_epoch = epoch;
    return {};
  }
  if (cause != EndCause::deleted) return stale(s, generation);
  switch (s.state) {
    case State::draining:
      if (s.cause == EndCause::deleted) return stale(s, generation);
      s.cause = EndCause::deleted;
      return {};
    case State::pending:
    case State::failed:
      become_absent(r, EndCause::deleted, "", now);
      return {};
    case State::starting:
      become_stopping(r, EndCause::deleted, now);
      return {};
    default:
      return stale(s, generation);
  }
}

Result<void> begin_stop(Record& r, Generation generation, const std::string& waits_for, WallTime now) {
  Session& s = r.session;
  if (s.generation != generation || s.state != State::draining) return stale(s, generation);
  if (s.cause == EndCause::idle && now < s.changed + s.policy.drain_grace)
    return Error{Errc::busy, fmt::format("{} can be rescued for {} ms more", s.key.text(),
                                         (s.changed + s.policy.drain_grace - now).count())};
  if (!waits_for.empty())
    return Error{Errc::busy,
                 fmt::format("{}: gateway {} has not seen the drain yet", s.key.text(), waits_for)};
  become_stopping(r, s.cause, now);
  return {};
}

Result<void> gone(Record& r, Generation generation, WallTime now) {
  Session& s = r.session;
  if (s.generation != generation || s.state != State::stopping) return stale(s, generation);
  end_or_begin_next(r, "", now);
  return {};
}

Result<void> pin(Record& r, bool pinned, WallTime now) {
  Session& s = r.session;
  if (s.state == State::absent) return Error{Errc::not_found, "no session " + s.key.text()};
  s.pinned = pinned;
  if (pinned && rescuable(s.state, s.cause))
    set_ready(r, now);
  else if (s.state == State::ready)
    s.due = due_at(s);
  return {};
}

Result<void> busy(Record& r, Millis busy_for, WallTime now) {
  Session& s = r.session;
  if (s.state == State::absent) return Error{Errc::not_found, "no session " + s.key.text()};
  set_busy(s, now, busy_for);
  if (s.busy_until > now && rescuable(s.state, s.cause))
    set_ready(r, now);
  else if (s.state == State::ready)
    s.due = due_at(s);
  return {};
}

Result<void> check_drain_cause(EndCause cause) {
  if (cause == EndCause::idle || cause == EndCause::lifetime || cause == EndCause::deleted) return {};
  return Error{Errc::invalid,
               fmt::format("a drain is for idle, lifetime or deleted, not for {}", name_of(cause))};
}

Result<void> check_word(std::string_view what, std::string_view word) {
  const bool clean =
      std::none_of(word.begin(), word.end(), [](unsigned char c) { return c < 0x21 || c == 0x7f; });
  if (!word.empty() && word.size() <= kMaxWordBytes && clean) return {};
  return Error{Errc::invalid,
               fmt::format("{} must be 1 to {} bytes without spaces and control characters, not \"{}\"", what,
                           kMaxWordBytes, printable(word, 64))};
}

}  // namespace alcove::transitions
