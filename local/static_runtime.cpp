#include "local/static_runtime.hpp"

#include "base/crypto.hpp"
#include "base/event.hpp"
#include "base/log.hpp"
#include "local/ready_check.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace alcove {
namespace {

struct Lent {
  explicit Lent(Executor executor) : changed(executor) {}
  Pod pod;
  bool settled = false;   // start() has its result
  bool returned = false;  // stopped or released
  std::optional<Error> error;
  std::shared_ptr<ReadyCheck> check;
  Event changed;
};
using LentPtr = std::shared_ptr<Lent>;

class StaticRuntime final : public Runtime {
 public:
  StaticRuntime(const StaticRuntimeSettings& settings, Executor executor)
      : executor_(executor), shared_(settings.shared) {
    for (const Endpoint& endpoint : settings.endpoints) {
      if (std::find(order_.begin(), order_.end(), endpoint) != order_.end()) continue;
      order_.push_back(endpoint);
      uses_[endpoint] = 0;
    }
  }

  Awaitable<Result<Pod>> start(PodSpec spec) override;
  Awaitable<Result<void>> stop(PodName name, Millis grace) override;
  Awaitable<Result<std::vector<Pod>>> list() override;
  void on_exit(std::function<void(const PodExit&)>) override {}  // what runs there is not ours to watch
  Awaitable<Result<LogChunk>> logs(LogRequest request) override;
  void adopted(const Session& session) override;
  void released(const PodName& name) override;
  bool sees(const Session& session) const override { return uses_.contains(session.endpoint); }
  Awaitable<void> shut_down() override { co_return; }

 private:
  using Key = std::pair<SessionKey, Generation>;

  LentPtr find(const PodName& name) const {
    const auto found = lent_.find({name.key, name.generation});
    return found == lent_.end() ? nullptr : found->second;
  }
  std::optional<Endpoint> choose();
  void give_back(const LentPtr& lent);

  Executor executor_;
  bool shared_;
  std::vector<Endpoint> order_;
  std::map<Endpoint, std::size_t> uses_;
  std::size_t cursor_ = 0;
  std::map<Key, LentPtr> lent_;
};

// The least used one, in turn among equals: an endpoint that has just been given back waits longest.
std::optional<Endpoint> StaticRuntime::choose() {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const std::size_t at = (cursor_ + i) % order_.size();
    if (!best || uses_[order_[at]] < uses_[order_[*best]]) best = at;
  }
  if (!best || (!shared_ && uses_[order_[*best]] > 0)) return std::nullopt;
  cursor_ = (*best + 1) % order_.size();
  return order_[*best];
}

Awaitable<Result<Pod>> StaticRuntime::start(PodSpec spec) {
  for (LentPtr there = find(spec.name); there; there = find(spec.name)) {
    while (!there->settled && !there->returned) co_await there->changed.wait();
    if (there->error) co_return *there->error;
    if (!there->returned) co_return there->pod;
  }
  const std::optional<Endpoint> endpoint = choose();
  if (!endpoint)
    co_return Error{Errc::failed, order_.empty() ? std::string("runtime.static.endpoints is empty")
                                                 : fmt::format("all {} endpoints are taken", order_.size())};
  auto lent = std::make_shared<Lent>(executor_);
  lent->pod.name = spec.name;
  lent->pod.app = spec.app.name;
  lent->pod.user = spec.user;
  lent->pod.uid = "static-" + hex(random_bytes(16));
  lent->pod.endpoint = *endpoint;
  lent_[{spec.name.key, spec.name.generation}] = lent;
  ++uses_[*endpoint];

  const std::shared_ptr<ReadyCheck> check =
      std::make_shared<ReadyCheck>(executor_, *endpoint, spec.app.ready_path);
  lent->check = check;
  const Result<void> ready = co_await ReadyCheck::run(check, SteadyClock::now(), spec.app.start_timeout);
  lent->check.reset();
  if (lent->returned) {
    lent->error = Error{Errc::cancelled, "it was stopped while it started"};
  } else if (!ready) {
    lent->error = Error{ready.error().code == Errc::cancelled ? Errc::cancelled : Errc::failed,
                        "endpoint " + ready.error().text};
    give_back(lent);
  }
  lent->pod.ready = !lent->error;
  lent->settled = true;
  lent->changed.notify();
  if (lent->error) co_return *lent->error;
  co_return lent->pod;
}

Awaitable<Result<void>> StaticRuntime::stop(PodName name, Millis) {
  if (const LentPtr lent = find(name)) give_back(lent);
  co_return Result<void>{};
}

Awaitable<Result<std::vector<Pod>>> StaticRuntime::list() {
  std::vector<Pod> pods;
  for (const auto& [name, lent] : lent_) pods.push_back(lent->pod);
  co_return pods;
}

Awaitable<Result<LogChunk>> StaticRuntime::logs(LogRequest) {
  co_return Error{Errc::not_found,
                  "the static runtime keeps no logs: look at the machine that runs the endpoint"};
}

void StaticRuntime::adopted(const Session& session) {
  if (!uses_.contains(session.endpoint) || lent_.contains({session.key, session.generation})) return;
  auto lent = std::make_shared<Lent>(executor_);
  lent->pod.name = {session.key, session.generation};
  lent->pod.app = session.app;
  lent->pod.user = session.user;
  lent->pod.uid = session.pod_uid;
  lent->pod.endpoint = session.endpoint;
  lent->pod.ready = true;
  lent->settled = true;
  lent_[{session.key, session.generation}] = lent;
  ++uses_[session.endpoint];
}

void StaticRuntime::released(const PodName& name) {
  std::vector<LentPtr> old;
  for (auto it = lent_.lower_bound({name.key, 0}); it != lent_.end() && it->first.first == name.key; ++it)
    if (it->first.second <= name.generation) old.push_back(it->second);
  for (const LentPtr& lent : old) give_back(lent);
}

void StaticRuntime::give_back(const LentPtr& lent) {
  if (lent->returned) return;
  lent->returned = true;
  --uses_[lent->pod.endpoint];
  lent_.erase({lent->pod.name.key, lent->pod.name.generation});
  if (lent->check) lent->check->cancel();
  lent->changed.notify();
}

}  // namespace

std::unique_ptr<Runtime> make_static_runtime(const StaticRuntimeSettings& settings, Executor executor) {
  return std::make_unique<StaticRuntime>(settings, executor);
}

}  // namespace alcove
