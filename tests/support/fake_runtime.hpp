// A Runtime whose pods are entries in a table and whose starts end when the test says so. Strict: it
// complains about what no provisioner may do (start a pod that is there, in parallel with itself).
#pragma once

#include "base/event.hpp"
#include "lifecycle/runtime.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace alcove::test {

class FakeRuntime final : public Runtime {
 public:
  explicit FakeRuntime(Executor executor) : executor_(executor) {}

  // --- what a test sets and sees
  bool at_once = true;                       // starts succeed without being told
  std::map<std::string, std::string> fails;  // by session: start fails with this
  std::set<std::string> foreign;             // pod UIDs that it does not see
  std::set<std::string> unheard_of;          // pod UIDs that are there, but not in its list yet
  std::size_t started = 0;
  std::size_t starting_now = 0;
  std::size_t most_at_once = 0;
  std::size_t stopped = 0;
  std::size_t stopping_now = 0;
  std::size_t most_stops_at_once = 0;
  Millis stop_takes{0};
  std::vector<Session> adopted_sessions;
  bool adopts = false;  // as the static runtime: what it is told of is there
  std::vector<PodName> released_pods;
  std::vector<Pod> pods;

  void finish_start(const std::string& session) {
    for (const auto& start : starts_)
      if (start->spec.name.key.text() == session) start->done = true, start->changed.notify();
  }
  void die(const std::string& session, std::string reason) {
    for (const Pod& pod : pods) {
      if (pod.name.key.text() != session) continue;
      PodExit exit{pod.name, pod.uid, std::move(reason)};
      std::erase_if(pods, [&](const Pod& other) { return other.uid == exit.uid; });
      if (on_exit_) on_exit_(exit);
      return;
    }
    ADD_FAILURE() << "no pod of " << session;
  }
  // Somebody asks for the end of its pod.
  void begin_to_die(const std::string& session) {
    const Pod* pod = pod_of(session);
    ASSERT_NE(pod, nullptr);
    if (on_exit_) on_exit_({pod->name, pod->uid, "is being evicted", true});
  }
  Pod add_pod(const std::string& session, Generation generation, std::string uid, bool ready = true) {
    Pod pod;
    pod.name = {SessionKey::parse(session).value(), generation};
    pod.app = std::string(pod.name.key.scope());
    pod.user = std::string(pod.name.key.name());
    pod.uid = std::move(uid);
    pod.endpoint = parse_endpoint("127.96.0.1:8080").value();
    pod.ready = ready;
    pods.push_back(pod);
    return pod;
  }
  const Pod* pod_of(const std::string& session) const {
    for (const Pod& pod : pods)
      if (pod.name.key.text() == session) return &pod;
    return nullptr;
  }

  // --- Runtime
  Awaitable<Result<Pod>> start(PodSpec spec) override {
    const auto start = std::make_shared<Start>(executor_, spec);
    for (const auto& other : starts_) EXPECT_FALSE(other->spec.name == spec.name) << "started twice at once";
    starts_.push_back(start);
    ++starting_now;
    most_at_once = std::max(most_at_once, starting_now);
    while (!at_once && !start->done && !start->cancelled) co_await start->changed.wait();
    --starting_now;
    std::erase(starts_, start);
    if (start->cancelled) co_return Error{Errc::cancelled, "stopped while it started"};
    if (const auto fail = fails.find(spec.name.key.text()); fail != fails.end())
      co_return Error{Errc::failed, fail->second};
    ++started;
    co_return add_pod(spec.name.key.text(), spec.name.generation, "uid-" + std::to_string(started));
  }
  Awaitable<Result<void>> stop(PodName name, Millis) override {
    ++stopping_now;
    most_stops_at_once = std::max(most_stops_at_once, stopping_now);
    for (const auto& start : starts_)
      if (start->spec.name == name) start->cancelled = true, start->changed.notify();
    if (stop_takes.count() > 0) {
      Timer timer(executor_, stop_takes);
      co_await timer.async_wait(kTuple);
    }
    --stopping_now;
    ++stopped;
    std::erase_if(pods, [&](const Pod& pod) { return pod.name == name; });
    co_return Result<void>{};
  }
  Awaitable<Result<std::vector<Pod>>> list() override { co_return pods; }
  void on_exit(std::function<void(const PodExit&)> handler) override { on_exit_ = std::move(handler); }
  Awaitable<Result<LogChunk>> logs(LogRequest) override { co_return LogChunk{}; }
  void adopted(const Session& session) override {
    adopted_sessions.push_back(session);
    if (adopts && pod_of(session.key.text()) == nullptr)
      add_pod(session.key.text(), session.generation, session.pod_uid);
  }
  void released(const PodName& name) override { released_pods.push_back(name); }
  bool sees(const Session& session) const override { return !foreign.contains(session.pod_uid); }
  Awaitable<Result<Presence>> look_for(PodName, std::string uid) override {
    co_return unheard_of.contains(uid) ? Presence::there : Presence::gone;
  }
  Awaitable<void> shut_down() override {
    pods.clear();
    co_return;
  }

 private:
  struct Start {
    Start(Executor executor, PodSpec its_spec) : spec(std::move(its_spec)), changed(executor) {}
    PodSpec spec;
    bool done = false;
    bool cancelled = false;
    Event changed;
  };

  Executor executor_;
  std::vector<std::shared_ptr<Start>> starts_;
  std::function<void(const PodExit&)> on_exit_;
};

}  // namespace alcove::test
