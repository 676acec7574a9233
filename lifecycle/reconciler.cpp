#include "lifecycle/reconciler.hpp"

#include "base/log.hpp"
#include "lifecycle/who.hpp"

#include <algorithm>
#include <utility>

namespace alcove {
namespace {

constexpr std::uint32_t kListPage = 500;
constexpr Millis kTryAgain{1'000};
constexpr Millis kLeaseMargin{5'000};  // a gateway's lease in the store is so much longer than it serves

bool served(State state) {
  return state == State::ready || state == State::draining;
}

}  // namespace

PodVerdict judge(const Pod& pod, const Session& record) {
  if (record.generation > pod.name.generation) return PodVerdict::outlived;
  if (record.generation < pod.name.generation) {
    // Its record was lost. Another pod that serves already is not taken away again.
    return pod.ready && !served(record.state) && record.state != State::stopping ? PodVerdict::adopt
                                                                                 : PodVerdict::orphan;
  }
  switch (record.state) {
    case State::pending:
      // Nobody has started a generation that is queued: this pod is of the same number in an earlier life.
      return pod.ready ? PodVerdict::adopt : PodVerdict::fine;
    case State::starting:
      return PodVerdict::fine;  // whoever starts it adopts the pod by its name
    case State::ready:
    case State::draining:
      return record.pod_uid == pod.uid ? PodVerdict::fine : PodVerdict::orphan;
    // A forced end of a start leaves no UID in the record; the reaper removes what is there.
    case State::stopping:
      return PodVerdict::fine;
    case State::absent:
    case State::failed:
      return PodVerdict::orphan;
  }
  return PodVerdict::fine;
}

Reconciler::Reconciler(Executor executor, Store& store, Runtime& runtime, Provisioner& provisioner,
                       SettingsPtr settings, std::shared_ptr<LifecycleMetrics> metrics)
    : store_(store),
      runtime_(runtime),
      provisioner_(provisioner),
      settings_(std::move(settings)),
      metrics_(std::move(metrics)),
      wake_(executor) {}

Reconciler::~Reconciler() = default;

Awaitable<void> Reconciler::run() {
  store_.subscribe(this);
  provisioner_.wait_for_reconciler();
  while (!stopping_) {
    again_ = false;
    const Result<void> done = co_await round();
    if (stopping_) break;
    if (again_) continue;
    if (done && !unsettled_) provisioner_.reconciled();
    Millis rest = kInterval;
    if (!done || unsettled_) {
      rest = kTryAgain;
    } else if (!orphans_.empty()) {
      rest = std::clamp(settings_->reaper.orphan_grace / 2, Millis{100}, kInterval);
    }
    co_await wake_.wait_until(SteadyClock::now() + rest);
  }
  store_.unsubscribe(this);
}

void Reconciler::stop() {
  stopping_ = true;
  wake_.notify();
}

void Reconciler::on_gap() {
  again_ = true;
  wake_.notify();
}

Awaitable<Result<void>> Reconciler::round() {
  const Result<std::vector<Session>> records = co_await all_records();
  if (!records) co_return records.error();
  // A runtime that only knows what it was told (static) must have been told before its list can say what is
  // missing.
  for (const Session& record : *records)
    if (served(record.state) || record.state == State::stopping) runtime_.adopted(record);
  Result<std::vector<Pod>> pods = co_await runtime_.list();
  if (!pods) co_return pods.error();
  unsettled_ = false;
  std::sort(pods->begin(), pods->end(),
            [](const Pod& a, const Pod& b) { return a.name.generation > b.name.generation; });

  std::unordered_map<std::string, const Session*> by_uid;
  for (const Session& record : *records)
    if (!record.pod_uid.empty()) by_uid.emplace(record.pod_uid, &record);

  std::unordered_set<std::string> there;
  std::unordered_set<std::string> orphans_now;
  for (const Pod& pod : *pods) {
    there.insert(pod.uid);
    const auto found = by_uid.find(pod.uid);
    if (found != by_uid.end() && judge(pod, *found->second) == PodVerdict::fine) continue;
    const Result<void> settled = co_await settle_pod(pod, orphans_now);
    if (!settled) co_return settled.error();
  }
  std::erase_if(orphans_, [&](const auto& entry) { return !orphans_now.contains(entry.first); });

  for (const Session& record : *records) {
    if (!served(record.state) || there.contains(record.pod_uid) || !runtime_.sees(record)) continue;
    if (provisioner_.starting(record.key)) continue;
    const Result<void> settled = co_await settle_missing(record);
    if (!settled) co_return settled.error();
  }
  co_return Result<void>{};
}

Awaitable<Result<std::vector<Session>>> Reconciler::all_records() {
  std::vector<Session> all;
  std::string cursor;
  do {
    Result<Store::Page> page = co_await store_.list(cursor, kListPage);
    if (!page) co_return page.error();
    for (Session& session : page->sessions) all.push_back(std::move(session));
    cursor = page->cursor;
  } while (!cursor.empty() && !stopping_);
  co_return all;
}

Awaitable<Result<void>> Reconciler::settle_pod(Pod pod, std::unordered_set<std::string>& orphans_now) {
  if (provisioner_.starting(pod.name.key) && !pod.ready) co_return Result<void>{};
  const Result<Session> record = co_await store_.lookup(pod.name.key);
  if (!record) co_return record.error();
  PodVerdict verdict = judge(pod, *record);
  if (provisioner_.starting(pod.name.key)) {
    unsettled_ = unsettled_ || verdict == PodVerdict::adopt;
    co_return Result<void>{};
  }
  // A pod of this name serves: one of the two is not in the runtime any more, or is run elsewhere.
  if (verdict == PodVerdict::orphan && record->generation == pod.name.generation && served(record->state) &&
      runtime_.sees(*record))
    verdict = PodVerdict::fine;

  if (verdict == PodVerdict::adopt) {
    const Result<bool> adopted = co_await adopt(pod);
    if (!adopted) co_return adopted.error();
    verdict = *adopted ? PodVerdict::fine : PodVerdict::orphan;
  }
  switch (verdict) {
    case PodVerdict::fine:
    case PodVerdict::adopt:
      break;
    case PodVerdict::outlived:
      co_return co_await remove(pod, "its session has a newer one");
    case PodVerdict::orphan: {
      orphans_now.insert(pod.uid);
      const SteadyTime since = orphans_.emplace(pod.uid, SteadyClock::now()).first->second;
      if (SteadyClock::now() - since >= settings_->reaper.orphan_grace)
        co_return co_await remove(pod, "no session knows it");
      break;
    }
  }
  co_return Result<void>{};
}

// False: the store has a record that says otherwise, or the app is not known any more: an orphan.
Awaitable<Result<bool>> Reconciler::adopt(Pod pod) {
  const AppSettings* app = settings_->find_app(pod.app);
  if (app == nullptr) co_return false;
  Session session;
  session.key = pod.name.key;
  session.app = pod.app;
  session.user = pod.user;
  session.state = State::ready;
  session.generation = pod.name.generation;
  session.endpoint = pod.endpoint;
  session.pod_uid = pod.uid;
  session.policy = {app->idle_timeout, app->max_lifetime, app->drain_grace, app->stop_grace};
  const Result<Session> adopted = co_await store_.adopt(session);
  if (!adopted) {
    if (adopted.error().code == Errc::stale) co_return false;
    co_return adopted.error();
  }
  metrics_->pods_adopted.add();
  spdlog::warn("{}: its pod at {} runs, but its record was lost; wrote it again",
               who(pod.name.key, pod.name.generation), to_string(pod.endpoint));
  // The emptied store does not know which gateways serve it, and so would not wait for one that is cut off.
  const Millis served_without_us = settings_->outage.serve_known_for + kLeaseMargin;
  if (app->idle_timeout > Millis{0} && app->idle_timeout < served_without_us) {
    const Result<Session> busy = co_await store_.busy(pod.name.key, served_without_us);
    if (!busy && busy.error().code != Errc::not_found) co_return busy.error();
  }
  co_return true;
}

Awaitable<Result<void>> Reconciler::remove(Pod pod, std::string why) {
  // A start under way of the same name would adopt the pod that is being removed here.
  if (provisioner_.starting(pod.name.key)) co_return Result<void>{};
  spdlog::warn("{}: removing a pod: {}", who(pod.name.key, pod.name.generation), why);
  const AppSettings* app = settings_->find_app(pod.app);
  const Millis grace = app != nullptr ? app->stop_grace : AppSettings{}.stop_grace;
  const Result<void> stopped = co_await runtime_.stop(pod.name, grace);
  if (!stopped) {
    spdlog::warn("{}: {}", who(pod.name.key, pod.name.generation), stopped.error().text);
    co_return Result<void>{};  // the next round tries again
  }
  metrics_->orphans_removed.add();
  co_return Result<void>{};
}

Awaitable<Result<void>> Reconciler::settle_missing(Session record) {
  const PodName name{record.key, record.generation};
  const Result<Presence> presence = co_await runtime_.look_for(name, record.pod_uid);
  if (!presence) co_return presence.error();
  if (*presence == Presence::there) co_return Result<void>{};
  std::string reason = "its pod is not there any more";
  const Result<Session> told =
      co_await store_.lost(record.key, record.generation, record.pod_uid, std::move(reason));
  if (told) {
    metrics_->records_lost.add();
    spdlog::warn("session {} generation {}: its pod is not there any more", record.key.text(),
                 record.generation);
  } else if (told.error().code != Errc::stale) {
    co_return told.error();
  }
  co_return Result<void>{};
}

}  // namespace alcove
