#include "lifecycle/provisioner.hpp"

#include "base/backoff.hpp"
#include "base/crypto.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "lifecycle/who.hpp"

#include <unistd.h>

#include <random>
#include <utility>
#include <vector>

namespace alcove {
namespace {

constexpr Millis kLookAnyway{1'000};  // for starts whose provisioner has died: no push tells of them
constexpr Millis kRetryFirst{50};     // a result that could not be published
constexpr Millis kRetryMost{2'000};
constexpr Millis kGiveBackLease{1};  // a claim that is given up expires at once
constexpr std::uint32_t kListPage = 500;

std::minstd_rand& jitter() {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return random;
}

bool away(Errc code) {
  return code == Errc::unavailable || code == Errc::timeout;
}

PodName name_of_pod(const Session& session) {
  return PodName{session.key, session.generation};
}

bool serves(const Session& record) {
  return record.state == State::ready || record.state == State::draining;
}

// Nobody wants a pod of this generation any more.
bool has_ended(const Session& record, Generation generation) {
  if (record.generation != generation) return record.generation > generation;
  return record.state == State::stopping || record.state == State::absent || record.state == State::failed;
}

double seconds(Millis value) {
  return static_cast<double>(value.count()) / 1000.0;
}

std::size_t index(StartOutcome outcome) {
  return static_cast<std::size_t>(outcome);
}
std::size_t index(StartPhase phase) {
  return static_cast<std::size_t>(phase);
}

}  // namespace

Provisioner::Provisioner(Executor executor, Store& store, Runtime& runtime, SettingsPtr settings,
                         std::shared_ptr<LifecycleMetrics> metrics)
    : executor_(executor),
      store_(store),
      runtime_(runtime),
      settings_(std::move(settings)),
      metrics_(std::move(metrics)),
      id_(fmt::format("provisioner-{}-{}", ::getpid(), hex(random_bytes(6)))),
      tasks_(executor),
      wake_(executor),
      pauses_(executor) {
  runtime_.on_exit([this](const PodExit& exit) { on_exit(exit); });
}

Provisioner::~Provisioner() {
  runtime_.on_exit(nullptr);
}

Awaitable<void> Provisioner::run() {
  store_.subscribe(this);
  tasks_.spawn(renew_claims());
  while (!stopping_) {
    if (reserve_) reserve_ = !co_await reserve_held();
    if (may_claim()) co_await claim_all();
    if (stopping_) break;
    if (!look_ || !may_claim()) co_await wake_.wait_until(SteadyClock::now() + kLookAnyway);
  }
  store_.unsubscribe(this);
  co_await tasks_.all_done();
}

void Provisioner::stop() {
  if (stopping_) return;
  stopping_ = true;
  std::vector<StartPtr> in_progress;
  for (const auto& [key, start] : starts_) in_progress.push_back(start);
  for (const StartPtr& start : in_progress) tasks_.spawn(cancel_start(start, "alcove is shutting down"));
  wake_.notify();
  pauses_.end();
}

Awaitable<void> Provisioner::hand_back() {
  const Result<std::vector<Pod>> before = co_await runtime_.list();
  co_await runtime_.shut_down();
  const Result<std::vector<Pod>> after = co_await runtime_.list();
  if (!before) co_return;
  for (const Pod& pod : *before) {
    bool there = false;
    if (after) {
      for (const Pod& left : *after) there = there || left.uid == pod.uid;
    }
    if (there || !pod.ready) continue;
    std::string reason = "alcove was shut down";
    const Result<Session> told =
        co_await store_.lost(pod.name.key, pod.name.generation, pod.uid, std::move(reason));
    if (!told && away(told.error().code)) co_return;  // the next start's reconciler will tell
  }
}

void Provisioner::on_transition(const Transition& transition) {
  const auto found = starts_.find(transition.key);
  const bool ours = found != starts_.end() && found->second->session.generation <= transition.generation;
  switch (transition.state) {
    case State::pending:
      if (transition.generation > 1) runtime_.released(PodName{transition.key, transition.generation - 1});
      break;
    case State::absent:
    case State::stopping:
      if (ours && !stopping_)
        tasks_.spawn(cancel_start(found->second,
                                  fmt::format("the session was ended ({})", name_of(transition.cause))));
      if (transition.state == State::absent)
        runtime_.released(PodName{transition.key, transition.generation});
      break;
    case State::failed:
      runtime_.released(PodName{transition.key, transition.generation});
      break;
    case State::starting:
    case State::ready:
    case State::draining:
      break;
  }
  // A start has been queued, or one has ended somewhere, which makes room under the common limit.
  if (transition.state != State::starting && transition.state != State::draining) {
    look_ = true;
    wake_.notify();
  }
}

void Provisioner::wait_for_reconciler() {
  has_reconciler_ = true;
  unreconciled_ = true;
}

void Provisioner::reconciled() {
  unreconciled_ = false;
  look_ = true;
  wake_.notify();
}

void Provisioner::on_gap() {
  reserve_ = true;
  unreconciled_ = has_reconciler_;
  look_ = true;
  wake_.notify();
}

// Tells the runtime of the pods that the store has, so that it does not hand out what they hold. False: ask
// again.
Awaitable<bool> Provisioner::reserve_held() {
  std::string cursor;
  do {
    const Result<Store::Page> page = co_await store_.list(cursor, kListPage);
    if (!page) co_return false;
    for (const Session& session : page->sessions) {
      if (session.state == State::ready || session.state == State::draining ||
          session.state == State::stopping)
        runtime_.adopted(session);
    }
    cursor = page->cursor;
  } while (!cursor.empty());
  co_return true;
}

Awaitable<void> Provisioner::claim_all() {
  look_ = false;
  while (may_claim() && starts_.size() < settings_->provisioner.starts_at_once) {
    ClaimRequest request;
    request.provisioner = id_;
    request.max_in_progress = settings_->provisioner.starts_at_once;
    request.lease = settings_->provisioner.claim_lease;
    const Result<std::optional<Session>> claimed = co_await store_.claim(std::move(request));
    if (!claimed) {
      if (!away(claimed.error().code) && claimed.error().code != Errc::cancelled)
        spdlog::error("the store refuses to hand out starts: {}", claimed.error().text);
      co_return;
    }
    if (!*claimed) co_return;
    const Session& session = **claimed;
    // A start of an older generation can still be settling here: the newer one takes its place in the table.
    auto start = std::make_shared<Start>();
    start->session = session;
    starts_[session.key] = start;
    metrics_->starts_now.set(starts_.size());
    tasks_.spawn(start_one(start));
    if (stopping_) tasks_.spawn(cancel_start(start, "alcove is shutting down"));
  }
}

Awaitable<void> Provisioner::renew_claims() {
  while (!stopping_) {
    const Millis third = settings_->provisioner.claim_lease / 3;
    co_await pauses_.pause(third);
    if (stopping_) break;
    std::vector<SessionKey> keys;
    for (const auto& [key, start] : starts_)
      if (!start->cancelled) keys.push_back(key);
    if (keys.empty()) continue;
    const Result<std::vector<SessionKey>> lost =
        co_await store_.renew(id_, settings_->provisioner.claim_lease, std::move(keys));
    if (!lost) continue;  // the store is away: publishing will tell whether the claim has survived
    for (const SessionKey& key : *lost) {
      const auto found = starts_.find(key);
      if (found == starts_.end()) continue;
      if (!found->second->settling) tasks_.spawn(claim_lost(found->second));
    }
  }
}

// Taken over by another provisioner (it may even be ready by now), or the record is lost: publishing tells.
Awaitable<void> Provisioner::claim_lost(StartPtr start) {
  const Result<Session> record = co_await store_.lookup(start->session.key);
  if (!record || !has_ended(*record, start->session.generation)) co_return;
  co_await cancel_start(start, "its session has moved on");
}

Awaitable<void> Provisioner::start_one(StartPtr start) {
  const SteadyTime claimed_at = SteadyClock::now();
  const Session& session = start->session;
  const auto queued = std::max(Millis{0}, session.changed - session.created);
  metrics_->start_seconds[index(StartPhase::queued)].observe(queued);

  const AppSettings* app = settings_->find_app(session.app);
  if (app == nullptr) {
    start->settling = true;
    std::string reason = fmt::format("there is no app \"{}\" in the configuration (any more)", session.app);
    co_await settle_failed(start, std::move(reason));
  } else {
    spdlog::info("{}: starting a pod of app {} for user {} (queued {:.2f} s)", who(session), session.app,
                 printable(session.user, 60), seconds(queued));
    PodSpec spec;
    spec.name = name_of_pod(session);
    spec.user = session.user;
    spec.app = *app;
    Result<Pod> started = co_await runtime_.start(std::move(spec));
    start->settling = true;
    const auto took = std::chrono::duration_cast<Millis>(SteadyClock::now() - claimed_at);
    if (started) {
      metrics_->start_seconds[index(StartPhase::started)].observe(took);
      Pod pod = std::move(*started);
      if (start->cancelled) {
        co_await remove_unwanted(start, std::move(pod));
      } else {
        metrics_->start_seconds[index(StartPhase::ready)].observe(queued + took);
        co_await settle_ready(start, std::move(pod));
      }
    } else if (start->cancelled || started.error().code == Errc::cancelled) {
      co_await settle_cancelled(start);
    } else {
      std::string reason = started.error().text;
      co_await settle_failed(start, std::move(reason));
    }
  }

  const auto found = starts_.find(start->session.key);
  if (found != starts_.end() && found->second == start) starts_.erase(found);
  metrics_->starts_now.set(starts_.size());
  if (start->exit) tasks_.spawn(report_lost(*start->exit));
  look_ = true;
  wake_.notify();
}

// Publishes until the store has heard it or says that it is stale. Not given up by stop(): a ready pod that
// nobody knows would be started a second time by the next provisioner.
Awaitable<void> Provisioner::settle_ready(StartPtr start, Pod pod) {
  Backoff backoff(kRetryFirst, kRetryMost);
  for (;;) {
    const Result<Session> published =
        co_await store_.publish_ready(start->session.key, start->session.generation, pod.endpoint, pod.uid);
    if (published) break;
    const Errc code = published.error().code;
    if (away(code) && !stopping_) {
      spdlog::warn("{}: its pod is ready, but the store cannot be told: {}; trying again",
                   who(start->session), published.error().text);
      const Millis delay = backoff.next(jitter());
      co_await pauses_.pause(delay);
      continue;
    }
    if (code == Errc::stale) {
      // The first try may have been applied although its answer was lost.
      const Result<Session> record = co_await store_.lookup(start->session.key);
      if (!record && away(record.error().code) && !stopping_) {
        const Millis delay = backoff.next(jitter());
        co_await pauses_.pause(delay);
        continue;
      }
      if (record && record->generation == start->session.generation && record->pod_uid == pod.uid &&
          serves(*record))
        break;
    } else {
      spdlog::warn("{}: its pod is ready, but could not be published: {}", who(start->session),
                   published.error().text);
    }
    metrics_->starts[index(StartOutcome::stale)].add();
    co_await remove_unwanted(start, std::move(pod));
    co_return;
  }
  metrics_->starts[index(StartOutcome::ready)].add();
  spdlog::info("{}: ready at {}", who(start->session), to_string(pod.endpoint));
}

Awaitable<void> Provisioner::settle_failed(StartPtr start, std::string reason) {
  const ProvisionerSettings& policy = settings_->provisioner;
  const Millis retry_in = backoff_delay(policy.retry_first, policy.retry_most, start->session.failures + 1);
  spdlog::error("{}: start failed: {}; no new start for {:.1f} s", who(start->session), reason,
                seconds(retry_in));
  Backoff backoff(kRetryFirst, kRetryMost);
  for (;;) {
    const Result<Session> published =
        co_await store_.publish_failed(start->session.key, start->session.generation, reason, retry_in);
    if (published) break;
    if (published.error().code == Errc::stale) {
      // Ended while it failed: the record may wait in `stopping` for somebody to say that the pod is gone.
      co_await settle_cancelled(start);
      co_return;
    }
    if (!away(published.error().code) || stopping_) break;
    const Millis delay = backoff.next(jitter());
    co_await pauses_.pause(delay);
  }
  metrics_->starts[index(StartOutcome::failed)].add();
}

Awaitable<void> Provisioner::settle_cancelled(StartPtr start) {
  metrics_->starts[index(StartOutcome::cancelled)].add();
  if (stopping_) {
    std::vector<SessionKey> keys{start->session.key};
    const Result<std::vector<SessionKey>> given_back =
        co_await store_.renew(id_, kGiveBackLease, std::move(keys));
    if (!given_back)
      spdlog::warn("{}: the start could not be given back to the queue: {}", who(start->session),
                   given_back.error().text);
  }
  Backoff backoff(kRetryFirst, kRetryMost);
  for (;;) {
    Result<Session> told = co_await store_.lookup(start->session.key);
    // Its pod is another provisioner's: whoever stops it says when it is gone.
    if (told && !told->pod_uid.empty()) break;
    if (told) {
      told = co_await store_.gone(start->session.key, start->session.generation);
      if (told) spdlog::info("{}: its start was given up, nothing is left of it", who(start->session));
    }
    if (told || !away(told.error().code) || stopping_) break;
    const Millis delay = backoff.next(jitter());
    co_await pauses_.pause(delay);
  }
}

// A ready pod that nobody wants any more.
Awaitable<void> Provisioner::remove_unwanted(StartPtr start, Pod pod) {
  const Result<Session> record = co_await store_.lookup(start->session.key);
  if (record && record->generation == start->session.generation) {
    // Claimed by another provisioner after our lease: on a runtime that both share it has adopted this very
    // pod. If it did not, the reconciler finds the pod.
    if (record->state == State::starting && !start->cancelled) co_return;
    // A pod of this name serves in the runtime that we would tell to stop it.
    if (serves(*record) && runtime_.sees(*record)) co_return;
  }
  // Its record was lost: the reconciler adopts the pod, or removes it.
  if (record && record->generation < start->session.generation) co_return;
  spdlog::info("{}: its pod became ready too late, the session has moved on; stopping it",
               who(start->session));
  const Result<void> stopped = co_await runtime_.stop(pod.name, start->session.policy.stop_grace);
  if (!stopped) spdlog::warn("{}: {}", who(start->session), stopped.error().text);
  co_await settle_cancelled(start);
}

Awaitable<void> Provisioner::cancel_start(StartPtr start, std::string why) {
  if (start->cancelled || start->settling) co_return;
  start->cancelled = true;
  spdlog::info("{}: giving up its start: {}", who(start->session), why);
  const PodName name = name_of_pod(start->session);
  const Result<void> stopped = co_await runtime_.stop(name, start->session.policy.stop_grace);
  if (!stopped) spdlog::warn("{}: {}", who(start->session), stopped.error().text);
}

void Provisioner::on_exit(const PodExit& exit) {
  metrics_->exits.add();
  spdlog::warn("{}: its pod ended by itself: {}", who(exit.name.key, exit.name.generation), exit.reason);
  const auto found = starts_.find(exit.name.key);
  if (found != starts_.end() && found->second->session.generation == exit.name.generation) {
    found->second->exit = exit;
    return;
  }
  tasks_.spawn(report_lost(exit));
}

Awaitable<void> Provisioner::report_lost(PodExit exit) {
  Backoff backoff(kRetryFirst, kRetryMost);
  for (;;) {
    if (exit.still_there) {
      // A reaper writes `stopping` before it asks for the end of a pod, so the record knows if it was one.
      const Result<Session> record = co_await store_.lookup(exit.name.key);
      if (record && record->state == State::stopping) co_return;
      if (!record && !away(record.error().code)) co_return;
      if (!record) {
        if (stopping_) co_return;
        const Millis delay = backoff.next(jitter());
        co_await pauses_.pause(delay);
        continue;
      }
    }
    const Result<Session> told =
        co_await store_.lost(exit.name.key, exit.name.generation, exit.uid, exit.reason);
    if (told || !away(told.error().code) || stopping_) co_return;
    const Millis delay = backoff.next(jitter());
    co_await pauses_.pause(delay);
  }
}

}  // namespace alcove
