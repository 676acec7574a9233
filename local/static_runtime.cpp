#include "local/static_runtime.hpp"

#include "base/crypto.hpp"
#include "base/event.hpp"
#include "base/log.hpp"
#include "local/ready_check.hpp"

#include <map>
#include <optional>
#include <set>
#include <tuple>
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
      const Place place{0, next_turn_++, endpoint};
      if (places_.emplace(endpoint, place).second) order_.insert(place);
    }
  }

  Awaitable<Result<Pod>> start(PodSpec spec) override;
  Awaitable<Result<void>> stop(PodName name, Millis grace) override;
  Awaitable<Result<std::vector<Pod>>> list() override;
  void on_exit(std::function<void(const PodExit&)>) override {}  // what runs there is not ours to watch
  Awaitable<Result<LogChunk>> logs(LogRequest request) override;
  void adopted(const Session& session) override;
  void released(const PodName& name) override;
  bool sees(const Session& session) const override { return places_.contains(session.endpoint); }
  Awaitable<void> shut_down() override { co_return; }

 private:
  using Key = std::pair<SessionKey, Generation>;

  // The next to be chosen comes first: the least used one, and among equals the one that has waited longest.
  struct Place {
    int uses = 0;
    std::uint64_t turn = 0;
    Endpoint endpoint;
    bool operator<(const Place& other) const {
      return std::tie(uses, turn) < std::tie(other.uses, other.turn);
    }
  };

  LentPtr find(const PodName& name) const {
    const auto found = lent_.find({name.key, name.generation});
    return found == lent_.end() ? nullptr : found->second;
  }
  std::optional<Endpoint> choose() const;
  void use(const Endpoint& endpoint, int more);
  void give_back(const LentPtr& lent);

  Executor executor_;
  bool shared_;
  std::map<Endpoint, Place> places_;
  std::set<Place> order_;  // the values of places_
  std::uint64_t next_turn_ = 0;
  std::map<Key, LentPtr> lent_;
};

std::optional<Endpoint> StaticRuntime::choose() const {
  if (order_.empty() || (!shared_ && order_.begin()->uses > 0)) return std::nullopt;
  return order_.begin()->endpoint;
}

void StaticRuntime::use(const Endpoint& endpoint, int more) {
  Place& place = places_.at(endpoint);
  order_.erase(place);
  place.uses += more;
  place.turn = next_turn_++;
  order_.insert(place);
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
  use(*endpoint, 1);

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
  if (!places_.contains(session.endpoint) || lent_.contains({session.key, session.generation})) return;
  auto lent = std::make_shared<Lent>(executor_);
  lent->pod.name = {session.key, session.generation};
  lent->pod.app = session.app;
  lent->pod.user = session.user;
  lent->pod.uid = session.pod_uid;
  lent->pod.endpoint = session.endpoint;
  lent->pod.ready = true;
  lent->settled = true;
  lent_[{session.key, session.generation}] = lent;
  use(session.endpoint, 1);
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
  use(lent->pod.endpoint, -1);
  lent_.erase({lent->pod.name.key, lent->pod.name.generation});
  if (lent->check) lent->check->cancel();
  lent->changed.notify();
}

}  // namespace

std::unique_ptr<Runtime> make_static_runtime(const StaticRuntimeSettings& settings, Executor executor) {
  return std::make_unique<StaticRuntime>(settings, executor);
}

}  // namespace alcove
