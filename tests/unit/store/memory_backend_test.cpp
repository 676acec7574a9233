// What needs a clock of its own, or threads: a week of memory, the lease of a stop, workers at once.
#include "store/memory_backend.hpp"

#include "store/memory_store.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace alcove {
namespace {

class MemoryBackendTest : public ::testing::Test {
 protected:
  static AcquireRequest request(const std::string& key) {
    AcquireRequest r;
    r.key = SessionKey::parse(key).value();
    return r;
  }
  Session make_ready(const std::string& key) {
    (void)backend.acquire(request(key));
    const Session s = backend.claim({"p", 100, Millis{1'000}}).value();
    return backend.publish_ready(s.key, s.generation, Endpoint(), "u").value();
  }
  void pass(Millis time) { now += time; }

  WallTime now = from_unix_ms(1'700'000'000'000);
  MemoryBackend backend{[this] { return now; }};
};

TEST_F(MemoryBackendTest, absent_record_is_forgotten_after_a_week) {
  const Session ready = make_ready("a/b");
  (void)backend.drain(ready.key, 1, EndCause::lifetime);
  (void)backend.begin_stop(ready.key, 1);
  ASSERT_TRUE(backend.gone(ready.key, 1));
  pass(transitions::kRemember - Millis{1});
  EXPECT_EQ(backend.lookup(ready.key).generation, 1U);
  pass(Millis{1});
  EXPECT_EQ(backend.lookup(ready.key).generation, 0U);
}

TEST_F(MemoryBackendTest, record_that_was_used_again_is_not_forgotten) {
  const Session ready = make_ready("a/b");
  ASSERT_TRUE(backend.lost(ready.key, 1, "u", "r"));
  pass(Millis{1'000});
  (void)backend.acquire(request("a/b"));
  pass(2 * transitions::kRemember);
  EXPECT_EQ(backend.lookup(ready.key).state, State::pending);
}

TEST_F(MemoryBackendTest, a_late_stop_is_handed_out_again_once_per_lease) {
  const Session ready = make_ready("a/b");
  (void)backend.drain(ready.key, 1, EndCause::lifetime);
  const Session stopping = backend.begin_stop(ready.key, 1).value();
  const Millis lease = stopping.policy.stop_grace + transitions::kStopSlack;
  pass(lease - Millis{1});
  EXPECT_TRUE(backend.due(10).empty());
  pass(Millis{1});
  const auto due = backend.due(10);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].session.state, State::stopping);
  EXPECT_TRUE(backend.due(10).empty()) << "another reaper must not stop it at the same time";
  pass(lease);
  EXPECT_EQ(backend.due(10).size(), 1U);
}

TEST_F(MemoryBackendTest, claim_ends_exactly_at_its_lease) {
  (void)backend.acquire(request("a/b"));
  ASSERT_TRUE(backend.claim({"p1", 1, Millis{100}}));
  pass(Millis{99});
  EXPECT_FALSE(backend.claim({"p2", 1, Millis{100}}));
  EXPECT_TRUE(backend.renew("p1", Millis{100}, {SessionKey("a", "b")}).empty());
  pass(Millis{99});
  EXPECT_FALSE(backend.claim({"p2", 1, Millis{100}}));
  pass(Millis{1});
  EXPECT_TRUE(backend.claim({"p2", 1, Millis{100}}));
}

TEST_F(MemoryBackendTest, mark_of_a_future_or_negative_age_counts_as_now) {
  const Session ready = make_ready("a/b");
  pass(Millis{50});
  (void)backend.beat({"g", 0, Millis{1'000}, {{ready.key, 1, Millis{-5'000}, "request"}}});
  EXPECT_EQ(backend.lookup(ready.key).last_activity, now);
}

TEST_F(MemoryBackendTest, beat_with_more_drains_than_fit_goes_on_with_the_next) {
  constexpr std::size_t kSessions = 5'100;
  for (std::size_t i = 0; i < kSessions; ++i) {
    const Session ready = make_ready("a/u" + std::to_string(i));
    ASSERT_TRUE(backend.drain(ready.key, 1, EndCause::deleted));
  }
  const BeatReply first = backend.beat({"g", 0, Millis{1'000}, {}});
  EXPECT_LT(first.draining.size(), kSessions);
  const BeatReply second = backend.beat({"g", first.epoch, Millis{1'000}, {}});
  EXPECT_EQ(first.draining.size() + second.draining.size(), kSessions);
  EXPECT_GT(second.epoch, first.epoch);
}

TEST(MemoryStoreThreads, a_store_without_subscribers_is_not_woken) {
  class Listener : public Subscriber {
   public:
    void on_transition(const Transition&) override { ++heard; }
    void on_gap() override {}
    int heard = 0;
  };
  const auto backend = std::make_shared<MemoryBackend>();
  asio::io_context io;
  const std::unique_ptr<Store> store = make_memory_store(backend, io.get_executor());
  Listener listener;
  const auto handlers_of_a_step = [&](const std::string& name) {
    (void)backend->acquire({SessionKey("app", name), "app", name, {}});
    io.restart();
    return io.poll();
  };
  EXPECT_EQ(handlers_of_a_step("ada"), 0U);
  store->subscribe(&listener);
  EXPECT_EQ(handlers_of_a_step("grace"), 1U);
  EXPECT_EQ(listener.heard, 1);
  store->unsubscribe(&listener);
  EXPECT_EQ(handlers_of_a_step("linus"), 0U);
  store->subscribe(&listener);
  store->close();
  EXPECT_EQ(handlers_of_a_step("edsger"), 0U);
  EXPECT_EQ(listener.heard, 1);
}

TEST(MemoryStoreThreads, workers_at_once_make_one_start_per_session_and_all_hear_of_it) {
  constexpr int kWorkers = 4;
  constexpr int kSessions = 100;
  class Counter : public Subscriber {
   public:
    void on_transition(const Transition& transition) override {
      if (transition.state == State::ready && ++ready == kSessions) done = true;
    }
    void on_gap() override {}
    int ready = 0;
    std::atomic<bool> done = false;
  };
  struct Worker {
    asio::io_context io;
    asio::executor_work_guard<Executor> guard = asio::make_work_guard(io.get_executor());
    std::unique_ptr<Store> store;
    Counter counter;
    std::thread thread;
    static Awaitable<void> play(Worker& worker, std::string name, std::atomic<int>& starts) {
      for (int i = 0; i < kSessions; ++i) {
        AcquireRequest request;
        request.key = SessionKey("app", "u" + std::to_string(i));
        (void)co_await worker.store->acquire(request);
        ClaimRequest ask{name, 1'000, Millis{600'000}};
        const auto claimed = co_await worker.store->claim(ask);
        if (!claimed.value()) continue;
        ++starts;
        const Session session = *claimed.value();
        (void)co_await worker.store->publish_ready(session.key, session.generation, Endpoint(), name);
      }
    }
  };
  const auto backend = std::make_shared<MemoryBackend>();
  std::atomic<int> starts = 0;
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < kWorkers; ++i) {
    auto worker = std::make_unique<Worker>();
    worker->store = make_memory_store(backend, worker->io.get_executor());
    worker->store->subscribe(&worker->counter);
    workers.push_back(std::move(worker));
  }
  for (int i = 0; i < kWorkers; ++i) {
    Worker& worker = *workers[static_cast<std::size_t>(i)];
    launch(worker.io, Worker::play(worker, "p" + std::to_string(i), starts));
    worker.thread = std::thread([&worker] { worker.io.run(); });
  }
  const auto deadline = SteadyClock::now() + std::chrono::seconds(30);
  for (const auto& worker : workers)
    while (!worker->counter.done && SteadyClock::now() < deadline) std::this_thread::yield();
  for (const auto& worker : workers) {
    EXPECT_TRUE(worker->counter.done);
    asio::post(worker->io, [&worker] { worker->store->close(); });
    worker->guard.reset();
    worker->thread.join();
  }
  EXPECT_EQ(starts, kSessions);
}

}  // namespace
}  // namespace alcove
