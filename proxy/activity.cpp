#include "proxy/activity.hpp"

#include "base/log.hpp"

namespace alcove::proxy {
namespace {

// The store waits so much longer than the worker serves: the two clocks tick at the same rate but are read
// apart.
constexpr Millis kLeaseMargin{5'000};

constexpr ShortMillis kNotSaid{-1};
constexpr Millis kMostQuiet{10'000};

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

// For so long a use says nothing new to the store: the idle time ends much later, and when it was last used
// will have been said by then. Not the same for all, so that sessions which began together spread out.
Millis Activity::quiet_time(const CachedRoute& route) {
  const Millis most =
      route.idle_timeout > Millis{0} ? std::min<Millis>(route.idle_timeout / 60, kMostQuiet) : kMostQuiet;
  return most * (48 + told_++ % 17) / 64;
}

// Whoever has left the cache is told of at once: its session may drain, and this mark rescues it.
Activity::Told Activity::collect_marks(SteadyTime now) {
  Told told;
  std::size_t stay = 0;
  for (RoutePtr& route : marked_) {
    if (route->in_flight > 0) route->last_activity = now;
    const bool wait = route->current && route->busy_for < Millis{0} && now < route->tell_at && !stopping_;
    if (!wait) {
      Beat::Mark& mark = told.marks.emplace_back();
      mark.key = route->session_key();
      mark.generation = route->generation;
      mark.age = std::max(std::chrono::duration_cast<Millis>(now - route->last_activity), Millis{0});
      mark.what = word(route->kind);
      if (route->busy_for >= Millis{0}) mark.busy_for = route->busy_for;
      route->busy_for = kNotSaid;
      route->tell_at = now + quiet_time(*route);
      told.routes.push_back(route);
    }
    route->marked = wait || route->in_flight > 0;
    if (route->marked) marked_[stay++].swap(route);
  }
  marked_.resize(stay);
  return told;
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
  std::vector<ShortMillis> said;
  said.reserve(told.marks.size());
  for (const Beat::Mark& mark : told.marks)
    said.push_back(mark.busy_for ? std::chrono::duration_cast<ShortMillis>(*mark.busy_for) : kNotSaid);
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
  for (const auto& [key, generation] : reply->draining) {
    const RoutePtr route = routes_.drop(key.text(), generation);
    // In use here: the next beat says so and rescues it.
    if (route != nullptr && (route->in_flight > 0 || route->marked)) hurried_ = true;
  }
  metrics_.route_cache_size.set(routes_.size());
  seen_ = reply->epoch;
  lease_until_ = sent + known_for;
  // A drain waits for this worker's acknowledgement: do not let it wait for a whole interval.
  if (!reply->draining.empty()) hurried_ = true;
  co_return true;
}

Awaitable<void> Activity::run(SettingsPtr settings) {
  settings_ = std::move(settings);
  while (!stopping_) {
    hurried_ = false;
    const SteadyTime began = SteadyClock::now();
    co_await beat_once();
    while (!hurried_ && !stopping_ && SteadyClock::now() < began + settings_->activity_interval)
      co_await wake_.wait_until(began + settings_->activity_interval);
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
