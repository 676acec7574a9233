// What the store's contract tests stand on: one io_context, stores of one kind on the same ground (memory or
// a real redis-server), calls that are driven to their end, a subscriber that writes down what it was told.
#pragma once

#include "store/memory_store.hpp"
#include "store/redis_store.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace alcove::test {

inline constexpr auto kPatience = std::chrono::seconds(10);

// Runs `work` on the loop until it ends.
template <class T>
T drive(asio::io_context& io, Awaitable<T> work) {
  std::optional<T> result;
  std::exception_ptr thrown;
  launch(io, std::move(work), [&](std::exception_ptr e, T value) {
    thrown = e;
    result.emplace(std::move(value));
  });
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!result) {
    if (io.stopped()) io.restart();
    io.run_one_until(deadline);
    if (!result && std::chrono::steady_clock::now() >= deadline)
      throw std::runtime_error("a call does not end");
  }
  if (thrown) std::rethrow_exception(thrown);
  return std::move(*result);
}

// Runs the loop until the condition holds; false if it never does.
inline bool until(asio::io_context& io, const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    if (io.stopped()) io.restart();
    io.run_one_for(Millis{2});
  }
  return true;
}

class Recorder : public Subscriber {
 public:
  void on_transition(const Transition& transition) override { seen.push_back(transition); }
  void on_gap() override { ++gaps; }
  std::vector<Transition> seen;
  int gaps = 0;

  // "pending 1, starting 1, ready 1"
  std::string story(const SessionKey& key) const {
    std::string text;
    for (const Transition& t : seen) {
      if (t.key != key) continue;
      if (!text.empty()) text += ", ";
      text += std::string(name_of(t.state)) + " " + std::to_string(t.generation);
    }
    return text;
  }
};

enum class Kind { memory, redis };

// One per program: starting a server for every case would take longer than the cases.
inline RedisServer& shared_redis() {
  static RedisServer server({.keep_data = false});
  return server;
}

class StoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  StoreTest() {
    static int count = 0;
    prefix_ = "t" + std::to_string(++count);
    if (GetParam() == Kind::memory) backend_ = std::make_shared<MemoryBackend>();
    store = make();
  }

  std::unique_ptr<Store> make() {
    if (GetParam() == Kind::memory) return make_memory_store(backend_, io.get_executor());
    RedisStoreSettings settings = shared_redis().settings();
    settings.prefix = prefix_;
    auto made = make_redis_store(settings, io);
    EXPECT_TRUE(until(io, [&] { return made->connected(); }));
    return made;
  }

  template <class T>
  T run(Awaitable<T> work) {
    return drive(io, std::move(work));
  }
  // The value; a refusal fails the test.
  template <class T>
  T get(Awaitable<Result<T>> work) {
    Result<T> result = run(std::move(work));
    if (!result) throw std::runtime_error("refused: " + result.error().text);
    return std::move(result.value());
  }
  // The refusal's code, nothing if it was allowed.
  template <class T>
  std::optional<Errc> refusal(Awaitable<Result<T>> work) {
    const Result<T> result = run(std::move(work));
    if (result) return std::nullopt;
    return result.error().code;
  }
  bool eventually(const std::function<bool()>& holds) { return until(io, holds); }

  AcquireRequest request(const std::string& key) const {
    AcquireRequest r;
    r.key = SessionKey::parse(key).value();
    r.app = std::string(r.key.scope());
    r.user = std::string(r.key.name());
    r.policy = policy;
    return r;
  }
  Session acquire(const std::string& key) { return get(store->acquire(request(key))); }
  Session lookup(const std::string& key) { return get(store->lookup(SessionKey::parse(key).value())); }
  std::optional<Session> claim(const std::string& who = "p1", std::uint32_t most = 20,
                               Millis lease = Millis{30'000}) {
    return get(store->claim(ClaimRequest{who, most, lease}));
  }
  Endpoint endpoint(unsigned short port = 9000) const { return {asio::ip::make_address("127.0.1.1"), port}; }
  // From nothing (or absent) to ready.
  Session make_ready(const std::string& key, const std::string& uid = "uid-1") {
    acquire(key);
    const auto claimed = claim();
    if (!claimed || claimed->key.text() != key) throw std::runtime_error("another start was queued");
    return get(store->publish_ready(claimed->key, claimed->generation, endpoint(), uid));
  }
  // From nothing to an idle drain; waits out the idle time, which must be short.
  Session make_idle_drain(const std::string& key) {
    const Session ready = make_ready(key);
    EXPECT_TRUE(eventually(
        [&] { return !refusal(store->drain(ready.key, ready.generation, EndCause::idle)).has_value(); }));
    return lookup(key);
  }
  Session make_stopping(const std::string& key) {
    const Session ready = make_ready(key);
    get(store->drain(ready.key, ready.generation, EndCause::lifetime));
    return get(store->begin_stop(ready.key, ready.generation));
  }
  BeatReply beat(const std::string& gateway, std::uint64_t seen, std::vector<Beat::Mark> marks = {},
                 Millis lease = Millis{65'000}) {
    return get(store->beat(Beat{gateway, seen, lease, std::move(marks)}));
  }

  asio::io_context io;
  SessionPolicy policy;

 private:
  std::string prefix_;
  std::shared_ptr<MemoryBackend> backend_;

 protected:
  std::unique_ptr<Store> store;
};

inline std::string kind_name(const ::testing::TestParamInfo<Kind>& info) {
  return info.param == Kind::memory ? "memory" : "redis";
}

inline SessionKey key_of(const std::string& text) {
  return SessionKey::parse(text).value();
}

}  // namespace alcove::test
