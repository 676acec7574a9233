#include "base/net.hpp"
#include "tests/support/run_awaitable.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace alcove::test {
namespace {

Awaitable<int> three() {
  co_return 3;
}
Awaitable<void> pause(asio::io_context& io) {
  Timer timer(io.get_executor(), Millis{1});
  auto [ec] = co_await timer.async_wait(kTuple);
  EXPECT_FALSE(ec);
}
Awaitable<std::string> fails(asio::io_context& io, bool at_once) {
  if (!at_once) co_await pause(io);
  throw std::runtime_error("on purpose");
}

TEST(Awaitable, answers_what_it_returns_at_once_or_later) {
  asio::io_context io;
  const auto both = [](asio::io_context& context) -> Awaitable<int> {
    const int first = co_await three();
    co_await pause(context);
    const int second = co_await three();
    co_return first * 10 + second;
  };
  EXPECT_EQ(run(io, both(io)), 33);
}

TEST(Awaitable, passes_a_value_that_can_only_be_moved) {
  asio::io_context io;
  const auto make = []() -> Awaitable<std::shared_ptr<std::unique_ptr<int>>> {
    const auto inner = []() -> Awaitable<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
    std::unique_ptr<int> made = co_await inner();
    co_return std::make_shared<std::unique_ptr<int>>(std::move(made));
  };
  const auto made = run(io, make());
  ASSERT_TRUE(made && *made);
  EXPECT_EQ(***made, 7);
}

TEST(Awaitable, throws_to_who_awaits_it) {
  asio::io_context io;
  for (const bool at_once : {true, false}) {
    const auto caught = [](asio::io_context& context, bool now) -> Awaitable<std::string> {
      std::string what;
      try {
        what = co_await fails(context, now);
      } catch (const std::runtime_error& error) {
        what = error.what();
      }
      co_return what;
    };
    EXPECT_EQ(run(io, caught(io, at_once)), "on purpose");
  }
}

TEST(Awaitable, a_loop_over_those_that_end_at_once_needs_no_stack) {
  asio::io_context io;
  const auto loop = []() -> Awaitable<int> {
    int sum = 0;
    for (int i = 0; i < 200'000; ++i) sum += co_await three();
    co_return sum;
  };
  EXPECT_EQ(run(io, loop()), 600'000);
}

TEST(Awaitable, beside_begins_now_and_is_awaited_later) {
  asio::io_context io;
  std::vector<std::string> said;
  const auto other = [](asio::io_context& context, std::vector<std::string>& told,
                        bool at_once) -> Awaitable<int> {
    told.emplace_back("other begins");
    if (!at_once) co_await pause(context);
    told.emplace_back("other ends");
    co_return 7;
  };
  const auto one = [&other](asio::io_context& context, std::vector<std::string>& told,
                            bool at_once) -> Awaitable<int> {
    Awaitable<int> beside = other(context, told, at_once);
    co_await beside.beside();
    told.emplace_back("one goes on");
    const int value = co_await std::move(beside);
    told.emplace_back("one ends");
    co_return value;
  };
  EXPECT_EQ(run(io, one(io, said, false)), 7);
  EXPECT_EQ(said, (std::vector<std::string>{"other begins", "one goes on", "other ends", "one ends"}));
  said.clear();
  io.restart();
  EXPECT_EQ(run(io, one(io, said, true)), 7);
  EXPECT_EQ(said, (std::vector<std::string>{"other begins", "other ends", "one goes on", "one ends"}));
}

TEST(Awaitable, beside_throws_to_who_awaits_it_at_last) {
  asio::io_context io;
  for (const bool at_once : {true, false}) {
    const auto caught = [](asio::io_context& context, bool now) -> Awaitable<std::string> {
      Awaitable<std::string> beside = fails(context, now);
      co_await beside.beside();
      co_await pause(context);
      std::string what;
      try {
        what = co_await std::move(beside);
      } catch (const std::runtime_error& error) {
        what = error.what();
      }
      co_return what;
    };
    EXPECT_EQ(run(io, caught(io, at_once)), "on purpose");
    io.restart();
  }
}

TEST(Launch, begins_at_once_on_its_own_thread_and_calls_the_handler_later) {
  asio::io_context io;
  std::vector<std::string> said;
  asio::post(io, [&] {
    const auto speak = [](std::vector<std::string>& out) -> Awaitable<int> {
      out.emplace_back("begins");
      co_return 1;
    };
    launch(io, speak(said), [&](const std::exception_ptr&, int) { said.emplace_back("ended"); });
    said.emplace_back("launched");
  });
  io.run();
  EXPECT_EQ(said, (std::vector<std::string>{"begins", "launched", "ended"}));
}

TEST(Launch, gives_an_exception_to_the_handler) {
  asio::io_context io;
  std::string what;
  launch(io, fails(io, false), [&](const std::exception_ptr& thrown, const std::string&) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
  });
  io.run();
  EXPECT_EQ(what, "on purpose");
}

// What is in the frames of a coroutine that waits, and of those that wait for it, is not leaked when the
// io_context ends first.
TEST(Launch, a_waiting_coroutine_is_destroyed_with_its_io_context) {
  const auto outer = std::make_shared<int>(1);
  const auto inner = std::make_shared<int>(2);
  {
    asio::io_context io;
    const auto waits = [](asio::io_context& context, std::shared_ptr<int> held) -> Awaitable<int> {
      Timer timer(context.get_executor(), std::chrono::hours(1));
      co_await timer.async_wait(kTuple);
      co_return *held;
    };
    const auto awaits = [&waits](asio::io_context& context, std::shared_ptr<int> held,
                                 std::shared_ptr<int> other) -> Awaitable<void> {
      const int value = co_await waits(context, std::move(other));
      ADD_FAILURE() << value << *held;
    };
    launch(io, awaits(io, outer, inner));
    io.poll();
    EXPECT_EQ(outer.use_count(), 2);
    EXPECT_EQ(inner.use_count(), 2);
  }
  EXPECT_EQ(outer.use_count(), 1);
  EXPECT_EQ(inner.use_count(), 1);
}

TEST(RunOn, runs_there_and_comes_back) {
  asio::io_context here;
  asio::io_context there;
  auto open = asio::make_work_guard(there);
  std::thread other([&there] { there.run(); });
  const auto ask = [](asio::io_context& elsewhere) -> Awaitable<bool> {
    const auto who = []() -> Awaitable<std::thread::id> { co_return std::this_thread::get_id(); };
    const std::thread::id mine = std::this_thread::get_id();
    const std::thread::id theirs = co_await run_on(elsewhere, who());
    co_return theirs != mine&& std::this_thread::get_id() == mine;
  };
  EXPECT_EQ(run(here, ask(there)), true);
  const auto fail = [](asio::io_context& elsewhere) -> Awaitable<std::string> {
    std::string what;
    try {
      what = co_await run_on(elsewhere, fails(elsewhere, true));
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    co_return what;
  };
  EXPECT_EQ(run(here, fail(there)), "on purpose");
  open.reset();
  other.join();
}

}  // namespace
}  // namespace alcove::test
