// Eviction against return, many thousand times: the gateways' own routes, waiting rooms and beats, the
// provisioner and the reaper, each with a store of its own on a real redis-server; only sockets and pods are
// left out. A pod is an entry in a table that goes in the very moment in which the runtime is told to stop
// it, and every request looks whether its pod is there from its first to its last moment.
// Called by: tests/faults/test_eviction_rounds.py with the port of a redis-server, rounds, and a seed; writes
// one line of JSON. Thread: one io_context. Fails: exits with 1 if a request was lost or met another pod.
#include "base/log.hpp"
#include "lifecycle/provisioner.hpp"
#include "lifecycle/reaper.hpp"
#include "proxy/activity.hpp"
#include "proxy/hold.hpp"
#include "proxy/resolver.hpp"
#include "store/redis_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <unordered_map>

namespace alcove {
namespace {

constexpr std::size_t kUsers = 60;
constexpr std::size_t kGateways = 3;
constexpr Millis kIdle{80};
constexpr Millis kGrace{1};
constexpr Millis kPatience{20'000};

int from_to(std::minstd_rand& random, int least, int most) {
  return std::uniform_int_distribution<int>(least, most)(random);
}

class TableRuntime final : public Runtime {
 public:
  TableRuntime(Executor executor, unsigned seed) : executor_(executor), random_(seed) {}

  Awaitable<Result<Pod>> start(PodSpec spec) override {
    co_await pause(from_to(random_, 0, 3));
    Pod pod;
    pod.name = spec.name;
    pod.app = spec.app.name;
    pod.user = spec.user;
    pod.uid = fmt::format("uid-{}", ++started);
    pod.endpoint = parse_endpoint("127.96.0.1:8080").value();
    pod.ready = true;
    if (++of_session_[pod.name.key] > 1) ++twins;
    pods_.emplace(pod.uid, pod);
    co_return pod;
  }
  Awaitable<Result<void>> stop(PodName name, Millis) override {
    for (auto it = pods_.begin(); it != pods_.end();) {
      if (it->second.name == name) {
        --of_session_[name.key];
        ++stopped;
        it = pods_.erase(it);
      } else {
        ++it;
      }
    }
    co_await pause(from_to(random_, 0, 3));
    co_return Result<void>{};
  }
  Awaitable<Result<std::vector<Pod>>> list() override {
    std::vector<Pod> all;
    for (const auto& entry : pods_) all.push_back(entry.second);
    co_return all;
  }
  void on_exit(std::function<void(const PodExit&)>) override {}
  Awaitable<Result<LogChunk>> logs(LogRequest) override { co_return LogChunk{}; }
  Awaitable<void> shut_down() override {
    pods_.clear();
    co_return;
  }

  const Pod* find(const std::string& uid) const {
    const auto found = pods_.find(uid);
    return found == pods_.end() ? nullptr : &found->second;
  }

  std::uint64_t started = 0;
  std::uint64_t stopped = 0;
  std::uint64_t twins = 0;  // a session had two pods at once

 private:
  Awaitable<void> pause(int ms) {
    if (ms == 0) co_return;
    Timer timer(executor_, Millis{ms});
    co_await timer.async_wait(kTuple);
  }

  Executor executor_;
  std::minstd_rand random_;
  std::unordered_map<std::string, Pod> pods_;
  std::unordered_map<SessionKey, int> of_session_;
};

// What a gateway's worker is made of, without its sockets.
struct Gateway {
  Gateway(asio::io_context& io, const RedisStoreSettings& redis, const std::string& name)
      : store(make_redis_store(redis, io)),
        rooms(io.get_executor(), *store, routes),
        activity(io.get_executor(), *store, routes, *metrics, name),
        resolver(*store, routes, rooms, activity, *metrics) {}

  std::shared_ptr<proxy::WorkerMetrics> metrics = std::make_shared<proxy::WorkerMetrics>();
  proxy::RouteCache routes{100'000};
  std::unique_ptr<Store> store;
  proxy::WaitingRooms rooms;
  proxy::Activity activity;
  proxy::Resolver resolver;
};

class Rounds {
 public:
  Rounds(std::uint16_t port, std::uint64_t rounds, unsigned seed)
      : rounds_(rounds), seed_(seed), runtime_(io_.get_executor(), seed + 1) {
    redis_.port = port;
    redis_.prefix = "rounds";
    AppSettings app;
    app.name = "test";
    app.idle_timeout = kIdle;
    app.drain_grace = kGrace;
    app.stop_grace = Millis{100};
    settings_->apps = {app};
    settings_->provisioner.starts_at_once = kUsers;
    settings_->reaper.interval = Millis{10};
    settings_->activity_interval = Millis{15};
    for (std::size_t i = 0; i < kGateways; ++i)
      gateways_.push_back(std::make_unique<Gateway>(io_, redis_, fmt::format("gateway-{}", i)));
    control_ = make_redis_store(redis_, io_);
    provisioner_ =
        std::make_unique<Provisioner>(io_.get_executor(), *control_, runtime_, settings_, metrics_);
    reaper_ = std::make_unique<Reaper>(io_.get_executor(), *control_, runtime_, settings_, metrics_);
  }

  bool run() {
    const SteadyTime began = SteadyClock::now();
    for (const auto& gateway : gateways_) {
      launch(io_, gateway->activity.run(settings_));
    }
    launch(io_, provisioner_->run());
    launch(io_, reaper_->run());
    for (std::size_t i = 0; i < kUsers; ++i)
      launch(io_, user(SessionKey("test", fmt::format("user{}", i)), static_cast<unsigned>(i)));
    while (users_done_ < kUsers) io_.run_one();
    const auto took = std::chrono::duration_cast<std::chrono::seconds>(SteadyClock::now() - began);
    const std::uint64_t lost = done_ - right_ - wrong_;
    std::printf(
        "{\"rounds\": %lu, \"right\": %lu, \"lost\": %lu, \"wrong\": %lu, \"twins\": %lu, \"pods\": %lu, "
        "\"evictions\": %lu, \"rescues\": %lu, \"from_cache\": %lu, \"seconds\": %ld}\n",
        done_, right_, lost, wrong_, runtime_.twins, runtime_.started, runtime_.stopped,
        static_cast<std::uint64_t>(metrics_->rescues.get()), from_cache_, static_cast<long>(took.count()));
    return lost == 0 && wrong_ == 0 && runtime_.twins == 0;
  }

 private:
  Awaitable<void> pause(Millis duration) {
    Timer timer(io_.get_executor(), duration);
    co_await timer.async_wait(kTuple);
  }

  // Is the pod of the route there, and this session's?
  bool judge(const proxy::CachedRoute& route, const SessionKey& key, const char* when) {
    const Pod* pod = runtime_.find(std::string(route.pod_uid()));
    if (pod == nullptr) {
      if (++shown_ < 20)
        std::fprintf(stderr, "%s: the pod of generation %lu was gone %s\n", key.text().c_str(),
                     static_cast<unsigned long>(route.generation), when);
      return false;
    }
    wrong_ += pod->name.key == key ? 0 : 1;
    return pod->name.key == key;
  }

  Awaitable<proxy::RoutePtr> find_route(Gateway& gateway, SessionKey key) {
    if (proxy::CachedRoute* known = gateway.resolver.known(key.text(), SteadyClock::now())) {
      ++from_cache_;
      co_return proxy::RoutePtr(known);
    }
    const AppSettings& app = settings_->apps.front();
    AcquireRequest request;
    request.key = key;
    request.app = app.name;
    request.user = std::string(key.name());
    request.policy = {app.idle_timeout, app.max_lifetime, app.drain_grace, app.stop_grace};
    const SteadyTime until = SteadyClock::now() + kPatience;
    proxy::WaitingRooms::Seat seat(gateway.rooms, std::move(request));
    while (!seat.settled() && SteadyClock::now() < until) co_await seat.wait(until);
    co_return seat.route();
  }

  Awaitable<void> user(SessionKey key, unsigned number) {
    std::minstd_rand random(seed_ * 104'729 + number * 7'919 + 1);
    while (begun_ < rounds_) {
      ++begun_;
      Gateway& gateway = *gateways_[static_cast<std::size_t>(from_to(random, 0, kGateways - 1))];
      const proxy::RoutePtr route = co_await find_route(gateway, key);
      if (route == nullptr) {
        std::fprintf(stderr, "%s: no pod\n", key.text().c_str());
      } else {
        gateway.activity.begin(*route, SteadyClock::now());
        const bool begun = judge(*route, key, "at the first byte");
        co_await pause(Millis{from_to(random, 0, 40)});
        const bool ended = begun && judge(*route, key, "at the last byte");
        gateway.activity.end(*route, SteadyClock::now());
        if (ended) ++right_;
      }
      ++done_;
      // The return is aimed at the eviction: from shortly before it to shortly after. When that is depends on
      // the machine, so the aim follows: a third of the rounds shall find their pod evicted.
      late_ms_ += runtime_.stopped * 3 < done_ ? 1 : -1;
      late_ms_ = std::clamp(late_ms_, 0, 2'000);
      const auto aim = static_cast<int>((kIdle + kGrace).count()) + late_ms_ / 4;
      co_await pause(Millis{from_to(random, aim - 25, aim + (from_to(random, 0, 1) == 0 ? 10 : 160))});
    }
    ++users_done_;
  }

  std::uint64_t rounds_;
  unsigned seed_;
  asio::io_context io_{1};
  RedisStoreSettings redis_;
  std::shared_ptr<Settings> settings_ = std::make_shared<Settings>();
  std::shared_ptr<LifecycleMetrics> metrics_ = std::make_shared<LifecycleMetrics>();
  TableRuntime runtime_;
  std::vector<std::unique_ptr<Gateway>> gateways_;
  std::unique_ptr<Store> control_;
  std::unique_ptr<Provisioner> provisioner_;
  std::unique_ptr<Reaper> reaper_;
  std::uint64_t begun_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t right_ = 0;
  int shown_ = 0;
  int late_ms_ = 0;
  std::uint64_t wrong_ = 0;
  std::uint64_t from_cache_ = 0;
  std::size_t users_done_ = 0;
};

}  // namespace
}  // namespace alcove

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: eviction_rounds REDIS_PORT ROUNDS SEED\n", stderr);
    return 2;
  }
  spdlog::set_level(spdlog::level::off);
  alcove::Rounds rounds(static_cast<std::uint16_t>(std::strtoul(argv[1], nullptr, 10)),
                        std::strtoull(argv[2], nullptr, 10),
                        static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10)));
  const bool fine = rounds.run();
  // Coroutines are still under way everywhere: the end of the process is their end.
  std::fflush(stdout);
  std::_Exit(fine ? 0 : 1);
}
