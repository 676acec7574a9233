// What the lifecycle tests stand on: one io_context, a memory store with a clock that the test moves, a fake
// runtime, settings with two apps, and the store seen through a second client, as a gateway sees it. A store
// that is "away" refuses every call of the role under test.
#pragma once

#include "base/log.hpp"
#include "lifecycle/metrics.hpp"
#include "store/memory_store.hpp"
#include "tests/support/fake_runtime.hpp"
#include "tests/support/run_awaitable.hpp"

#include <memory>
#include <string>
#include <utility>

namespace alcove::test {

// Passes everything on, unless it is away.
class FlakyStore final : public Store {
 public:
  explicit FlakyStore(std::unique_ptr<Store> inner) : inner_(std::move(inner)) {}
  bool away = false;
  bool lose_answers = false;  // publish_ready is applied, but its answer does not arrive
  std::size_t refused = 0;
  std::size_t calls = 0;

  Awaitable<Result<Session>> acquire(AcquireRequest r) override {
    co_return co_await pass(inner_->acquire(std::move(r)));
  }
  Awaitable<Result<Session>> lookup(SessionKey k) override {
    co_return co_await pass(inner_->lookup(std::move(k)));
  }
  Awaitable<Result<QueuePlace>> place(SessionKey k) override {
    co_return co_await pass(inner_->place(std::move(k)));
  }
  Awaitable<Result<BeatReply>> beat(Beat b) override { co_return co_await pass(inner_->beat(std::move(b))); }
  Awaitable<Result<void>> leave(std::string g) override {
    co_return co_await pass(inner_->leave(std::move(g)));
  }
  Awaitable<Result<std::optional<Session>>> claim(ClaimRequest r) override {
    co_return co_await pass(inner_->claim(std::move(r)));
  }
  Awaitable<Result<std::vector<SessionKey>>> renew(std::string p, Millis l,
                                                   std::vector<SessionKey> k) override {
    co_return co_await pass(inner_->renew(std::move(p), l, std::move(k)));
  }
  Awaitable<Result<Session>> publish_ready(SessionKey k, Generation g, Endpoint e, std::string u) override {
    Result<Session> result = co_await pass(inner_->publish_ready(std::move(k), g, e, std::move(u)));
    if (!std::exchange(lose_answers, false)) co_return result;
    co_return Error{Errc::timeout, "no answer in time"};
  }
  Awaitable<Result<Session>> publish_failed(SessionKey k, Generation g, std::string reason,
                                            Millis retry) override {
    co_return co_await pass(inner_->publish_failed(std::move(k), g, std::move(reason), retry));
  }
  Awaitable<Result<Session>> lost(SessionKey k, Generation g, std::string u, std::string reason) override {
    co_return co_await pass(inner_->lost(std::move(k), g, std::move(u), std::move(reason)));
  }
  Awaitable<Result<Session>> adopt(Session s) override {
    co_return co_await pass(inner_->adopt(std::move(s)));
  }
  Awaitable<Result<std::vector<Due>>> due(std::uint32_t limit) override {
    co_return co_await pass(inner_->due(limit));
  }
  Awaitable<Result<Session>> drain(SessionKey k, Generation g, EndCause c) override {
    co_return co_await pass(inner_->drain(std::move(k), g, c));
  }
  Awaitable<Result<Session>> begin_stop(SessionKey k, Generation g) override {
    co_return co_await pass(inner_->begin_stop(std::move(k), g));
  }
  Awaitable<Result<Session>> gone(SessionKey k, Generation g) override {
    co_return co_await pass(inner_->gone(std::move(k), g));
  }
  Awaitable<Result<Page>> list(std::string c, std::uint32_t limit) override {
    co_return co_await pass(inner_->list(std::move(c), limit));
  }
  Awaitable<Result<Session>> pin(SessionKey k, bool pinned) override {
    co_return co_await pass(inner_->pin(std::move(k), pinned));
  }
  Awaitable<Result<Session>> busy(SessionKey k, Millis busy_for) override {
    co_return co_await pass(inner_->busy(std::move(k), busy_for));
  }
  void subscribe(Subscriber* s) override { inner_->subscribe(s); }
  void unsubscribe(Subscriber* s) override { inner_->unsubscribe(s); }
  bool connected() const override { return !away; }
  void close() override { inner_->close(); }

 private:
  template <class T>
  Awaitable<Result<T>> pass(Awaitable<Result<T>> call) {
    ++calls;
    if (away) {
      ++refused;
      co_return Error{Errc::unavailable, "the store is away"};
    }
    co_return co_await std::move(call);
  }

  std::unique_ptr<Store> inner_;
};

inline AppSettings app_named(std::string name) {
  AppSettings app;
  app.name = std::move(name);
  app.idle_timeout = Millis{60'000};
  app.drain_grace = Millis{0};
  app.stop_grace = Millis{100};
  return app;
}

struct LifecycleBench {
  LifecycleBench() {
    spdlog::set_level(spdlog::level::off);
    settings->apps = {app_named("demo"), app_named("notebook")};
    settings->provisioner.retry_first = Millis{1'000};
    settings->provisioner.claim_lease = Millis{300};
    settings->reaper.interval = Millis{20};
    settings->reaper.orphan_grace = Millis{60};
  }

  asio::io_context context{1};
  WallTime offset = from_unix_ms(0);  // moved by tests: the store's clock is the machine's plus this
  std::shared_ptr<MemoryBackend> backend =
      std::make_shared<MemoryBackend>([this] { return wall_now() + offset.time_since_epoch(); });
  FlakyStore store{make_memory_store(backend, context.get_executor())};
  FakeRuntime runtime{context.get_executor()};
  std::shared_ptr<Settings> settings = std::make_shared<Settings>();
  std::shared_ptr<LifecycleMetrics> metrics = std::make_shared<LifecycleMetrics>();

  static SessionKey key(const std::string& text) { return SessionKey::parse(text).value(); }
  Session ask(const std::string& session) {
    AcquireRequest request;
    request.key = key(session);
    request.app = std::string(request.key.scope());
    request.user = std::string(request.key.name());
    const AppSettings app = app_named(request.app);
    request.policy = {app.idle_timeout, app.max_lifetime, app.drain_grace, app.stop_grace};
    return backend->acquire(request).value();
  }
  Session record(const std::string& session) { return backend->lookup(key(session)); }
  State state(const std::string& session) { return record(session).state; }
  bool until(const std::function<bool()>& condition, Millis limit = Millis{10'000}) {
    return run_until(context, condition, limit);
  }
};

}  // namespace alcove::test
