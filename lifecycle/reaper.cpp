#include "lifecycle/reaper.hpp"

#include "base/log.hpp"
#include "lifecycle/reap_policy.hpp"
#include "lifecycle/who.hpp"

#include <utility>
#include <vector>

namespace alcove {
namespace {

constexpr std::uint32_t kDuePage = 1'000;
constexpr Millis kFullPagePause{
    50};  // there is more: soon, but sessions that are only waiting must not make us spin
constexpr Millis kPressingPause{100};    // between asks whether all gateways have followed a forced drain
constexpr Millis kPressingFor{3'000};    // then the ordinary looks go on
constexpr Millis kForeignGrace{60'000};  // for a pod that no runtime here sees: its own reaper comes first

// No ordinary outcome of a race.
bool strange(const Error& error) {
  switch (error.code) {
    case Errc::stale:
    case Errc::busy:
    case Errc::not_found:
    case Errc::cancelled:
      return false;
    default:
      return true;
  }
}

}  // namespace

Reaper::Reaper(Executor executor, Store& store, Runtime& runtime, SettingsPtr settings,
               std::shared_ptr<LifecycleMetrics> metrics)
    : store_(store),
      runtime_(runtime),
      settings_(std::move(settings)),
      metrics_(std::move(metrics)),
      tasks_(executor),
      wake_(executor),
      slot_free_(executor),
      pauses_(executor) {}

Reaper::~Reaper() = default;

Awaitable<void> Reaper::run() {
  store_.subscribe(this);
  while (!stopping_) {
    look_ = false;
    const bool more = co_await look();
    if (stopping_) break;
    const Millis rest =
        more ? std::min(kFullPagePause, settings_->reaper.interval) : settings_->reaper.interval;
    if (!look_) co_await wake_.wait_until(SteadyClock::now() + rest);
  }
  store_.unsubscribe(this);
  co_await tasks_.all_done();
}

void Reaper::stop() {
  stopping_ = true;
  wake_.notify();
  slot_free_.notify();
  pauses_.end();
}

void Reaper::look_now() {
  look_ = true;
  wake_.notify();
}

void Reaper::on_transition(const Transition& transition) {
  if (transition.state == State::draining) {
    draining_[transition.key] = transition.generation;
    if (pressing(transition.state, transition.cause) && !stopping_ && !at_work_.contains(transition.key))
      tasks_.spawn(settle_pressing(transition.key));
    return;
  }
  const auto found = draining_.find(transition.key);
  if (found == draining_.end()) return;
  if (transition.state == State::ready && transition.generation == found->second) {
    metrics_->rescues.add();
    spdlog::info("session {} generation {}: rescued, its user came back while it drained",
                 transition.key.text(), transition.generation);
  }
  draining_.erase(found);
}

void Reaper::on_gap() {
  draining_.clear();
  look_now();
}

// True: the page was full and something of it was new, so there is more to ask for at once.
Awaitable<bool> Reaper::look() {
  const Result<std::vector<Due>> due = co_await store_.due(kDuePage);
  if (!due) {
    if (strange(due.error()))
      spdlog::debug("the store cannot say which sessions are due: {}", due.error().text);
    co_return false;
  }
  bool fresh = false;
  for (const Due& item : *due) {
    if (at_work_.contains(item.session.key)) continue;
    fresh = true;
    tasks_.spawn(settle_due(item.session));
  }
  co_return fresh && due->size() >= kDuePage;
}

Awaitable<void> Reaper::settle_due(Session session) {
  const SessionKey key = session.key;
  if (!at_work_.insert(key).second) co_return;
  const bool foreign = !session.pod_uid.empty() && !runtime_.sees(session);
  if (foreign && session.state != State::ready) {
    if (wall_now() <
        session.changed + session.policy.drain_grace + session.policy.stop_grace + kForeignGrace) {
      at_work_.erase(key);
      co_return;
    }
    spdlog::warn("{}: no runtime in reach knows its pod {}; ending its record", who(session),
                 session.pod_uid);
  }

  const ReapDecision decision = reap_decision(session);
  switch (decision.step) {
    case ReapStep::none:
      break;
    case ReapStep::drain:
      co_await drain(session, decision.cause);
      break;
    case ReapStep::begin_stop:
      co_await end_drained(session);
      break;
    case ReapStep::stop_again:
      co_await take_slot();
      if (!stopping_) co_await end_pod(session);
      free_slot();
      break;
  }
  at_work_.erase(key);
  if (decision.step == ReapStep::drain && decision.cause == EndCause::lifetime && !stopping_)
    tasks_.spawn(settle_pressing(key));
}

// Somebody waits: asks again and again until every gateway has followed the drain.
Awaitable<void> Reaper::settle_pressing(SessionKey key) {
  if (!at_work_.insert(key).second) co_return;
  const SteadyTime until = SteadyClock::now() + kPressingFor;
  while (!stopping_ && SteadyClock::now() < until) {
    const Result<Session> record = co_await store_.lookup(key);
    if (!record || !pressing(record->state, record->cause)) break;
    if (!record->pod_uid.empty() && !runtime_.sees(*record)) break;
    const Session& session = *record;
    co_await end_drained(session);
    co_await pauses_.pause(kPressingPause);
  }
  at_work_.erase(key);
}

Awaitable<void> Reaper::drain(Session session, EndCause cause) {
  const Result<Session> drained = co_await store_.drain(session.key, session.generation, cause);
  if (drained) {
    spdlog::info("{}: draining ({}), last activity: {}", who(session), name_of(cause),
                 session.activity.empty() ? "none" : session.activity);
  } else if (strange(drained.error())) {
    spdlog::warn("{}: could not be drained: {}", who(session), drained.error().text);
  }
}

Awaitable<void> Reaper::end_drained(Session session) {
  co_await take_slot();
  if (!stopping_) {
    const Result<Session> begun = co_await store_.begin_stop(session.key, session.generation);
    if (begun) {
      metrics_->evictions[static_cast<std::size_t>(session.cause)].add();
      spdlog::info("{}: stopping its pod ({})", who(session), name_of(session.cause));
      co_await end_pod(session);
    } else if (begun.error().code == Errc::busy) {
      spdlog::debug("{}: not stopped yet: {}", who(session), begun.error().text);
    } else if (strange(begun.error())) {
      spdlog::warn("{}: could not be stopped: {}", who(session), begun.error().text);
    }
  }
  free_slot();
}

// The record says stopping. What fails here is due again when the store's lease on the stop is over.
Awaitable<void> Reaper::end_pod(Session session) {
  metrics_->stops_now.set(++stopping_now_);
  const PodName name{session.key, session.generation};
  const Result<void> stopped = co_await runtime_.stop(name, session.policy.stop_grace);
  metrics_->stops_now.set(--stopping_now_);
  if (!stopped) {
    spdlog::warn("{}: its pod could not be stopped: {}", who(session), stopped.error().text);
    co_return;
  }
  constexpr int kTries = 5;
  for (int i = 0; i < kTries; ++i) {
    const Result<Session> gone = co_await store_.gone(session.key, session.generation);
    if (gone) {
      spdlog::info("{}: gone ({})", who(session), name_of(session.cause));
      co_return;
    }
    if (gone.error().code != Errc::unavailable && gone.error().code != Errc::timeout) co_return;
    co_await pauses_.pause(kPressingPause);
  }
  spdlog::warn("{}: its pod is gone, but the store could not be told; it will be asked again", who(session));
}

Awaitable<void> Reaper::take_slot() {
  while (slots_ >= kStopsAtOnce && !stopping_) co_await slot_free_.wait();
  ++slots_;
}

void Reaper::free_slot() {
  --slots_;
  slot_free_.notify();
}

}  // namespace alcove
