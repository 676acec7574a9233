#include "proxy/activity.hpp"

#include "base/log.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

namespace alcove::proxy {
namespace {

// The store waits so much longer than the worker serves: the two clocks tick at the same rate but are read
// apart.
constexpr Millis kLeaseMargin{5'000};

constexpr Millis kNotSaid{-1};

std::string_view word(ActivityKind kind) {
  switch (kind) {
    case ActivityKind::body:
      return "body";
    case ActivityKind::websocket:
      return "websocket";
    case ActivityKind::none:
    case ActivityKind::request:
      return "request";
  }
  return "request";
}

}  // namespace

Activity::Activity(Executor executor, Store& store, RouteCache& routes, WorkerMetrics& metrics,
                   std::string gateway)
    : store_(store), routes_(routes), metrics_(metrics), gateway_(std::move(gateway)), wake_(executor) {}

void Activity::enlist(CachedRoute& route) {
  route.marked = true;
  marked_.emplace_back(&route);
}

// A use that follows a told one is held back for the route's quiet time: the idle time ends much later, and
// when it was last used will have been said by then. Not for the same time each, so that sessions which began
// together spread out. What is held back stays in the list, where tell_of() finds it.
Activity::Told Activity::collect_marks(SteadyTime now) {
  Told told;
  std::size_t stay = 0;
  for (RoutePtr& route : marked_) {
    const bool in_flight = route->in_flight > 0;
    if (in_flight) route->last_activity = now;
    const bool wait = now < route->tell_at && route->busy_for < Millis{0} && !stopping_;
    if (!wait) {
      Beat::Mark& mark = told.marks.emplace_back();
      mark.key = route->session_key();
      mark.generation = route->generation;
      mark.age = std::max(std::chrono::duration_cast<Millis>(now - route->last_activity), Millis{0});
      mark.what = word(route->kind);
      if (route->busy_for >= Millis{0}) mark.busy_for = route->busy_for;
      route->busy_for = kNotSaid;
      // Neither in the cache nor in the list nobody would find it when its session drains.
      const bool findable = route->current || in_flight;
      route->tell_at = findable ? now + Millis{route->quiet_time} * (48 + told_++ % 17) / 64 : SteadyTime{};
      told.routes.push_back(route);
    }
    route->marked = wait || in_flight;
    if (route->marked) marked_[stay++].swap(route);
  }
  marked_.resize(stay);
  return told;
}

// The next beat acknowledges these drains: it is to carry what was held back of their sessions. Routes that
// the cache has just lost are due already; these are the ones that had left it before.
void Activity::tell_of(const std::vector<std::pair<SessionKey, Generation>>& draining) {
  boost::unordered_flat_set<std::string_view> keys;
  for (const auto& [key, generation] : draining) keys.insert(key.text());
  for (const RoutePtr& route : marked_)
    if (!route->current && keys.contains(route->key())) route->tell_at = {};
}

void Activity::beat_by(SteadyTime then) {
  if (then >= beat_at_) return;
  beat_at_ = then;
  wake_.notify();
}

// A beat that fails keeps its marks for the next one: the store forgets nothing that it was not told.
Awaitable<bool> Activity::beat_once() {
  const SteadyTime sent = SteadyClock::now();
  const Millis known_for = settings_->outage.serve_known_for;
  Beat beat;
  beat.gateway = gateway_;
  beat.seen = seen_;
  beat.lease = known_for + kLeaseMargin;
  Told told = collect_marks(sent);
  std::vector<Millis> said;
  said.reserve(told.marks.size());
  for (const Beat::Mark& mark : told.marks) said.push_back(mark.busy_for.value_or(kNotSaid));
  beat.marks = std::move(told.marks);
  auto reply = co_await store_.beat(std::move(beat));
  if (!reply) {
    metrics_.beats_failed.add();
    for (std::size_t i = 0; i < told.routes.size(); ++i) {
      CachedRoute& route = *told.routes[i];
      route.tell_at = {};
      if (!route.marked) enlist(route);
      if (route.busy_for < Millis{0}) route.busy_for = said[i];
    }
    co_return false;
  }
  // The lease had ended, or never run: pods may have been stopped without this worker. Such drains are over,
  // and no answer names them any more.
  if (!lease_runs(SteadyClock::now())) routes_.clear();
  for (const auto& [key, generation] : reply->draining) routes_.drop(key.text(), generation);
  // A drain waits for this worker's acknowledgement, and its session may be in use here: no time to lose.
  if (!reply->draining.empty()) {
    tell_of(reply->draining);
    hurry();
  }
  metrics_.route_cache_size.set(routes_.size());
  seen_ = reply->epoch;
  lease_until_ = sent + known_for;
  co_return true;
}

Awaitable<void> Activity::run(SettingsPtr settings) {
  settings_ = std::move(settings);
  while (!stopping_) {
    began_ = SteadyClock::now();
    beat_at_ = began_ + settings_->activity_interval;
    co_await beat_once();
    while (!stopping_ && SteadyClock::now() < beat_at_) co_await wake_.wait_until(beat_at_);
  }
  co_await beat_once();
  auto left = co_await store_.leave(gateway_);
  if (!left) spdlog::debug("gateway {}: could not take leave of the store: {}", gateway_, left.error().text);
}

void Activity::stop() {
  stopping_ = true;
  wake_.notify();
}

}  // namespace alcove::proxy
