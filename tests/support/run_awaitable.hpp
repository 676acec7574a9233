// Runs a coroutine to its end on an io_context that nobody else runs, bounded in time.
#pragma once

#include "base/net.hpp"
#include "base/time.hpp"

#include <gtest/gtest.h>

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace alcove::test {

template <class T>
std::optional<T> run(asio::io_context& context, Awaitable<T> awaitable, Millis limit = Millis{20'000}) {
  std::optional<T> result;
  bool done = false;
  launch(context.get_executor(), std::move(awaitable), [&](const std::exception_ptr& thrown, T value) {
    done = true;
    if (thrown) {
      ADD_FAILURE() << "the coroutine threw";
    } else {
      result.emplace(std::move(value));
    }
  });
  const SteadyTime until = SteadyClock::now() + limit;
  context.restart();
  while (!done && SteadyClock::now() < until) {
    if (context.run_one_for(Millis{50}) == 0) context.restart();
  }
  EXPECT_TRUE(done) << "the coroutine did not end in time";
  return result;
}

inline void run(asio::io_context& context, Awaitable<void> awaitable, Millis limit = Millis{20'000}) {
  bool done = false;
  launch(context.get_executor(), std::move(awaitable), [&](const std::exception_ptr& thrown) {
    done = true;
    if (thrown) ADD_FAILURE() << "the coroutine threw";
  });
  const SteadyTime until = SteadyClock::now() + limit;
  context.restart();
  while (!done && SteadyClock::now() < until) {
    if (context.run_one_for(Millis{50}) == 0) context.restart();
  }
  EXPECT_TRUE(done) << "the coroutine did not end in time";
}

// Runs the io_context until the condition holds. False: it did not in time.
template <class Condition>
bool run_until(asio::io_context& context, Condition condition, Millis limit = Millis{10'000}) {
  const SteadyTime until = SteadyClock::now() + limit;
  context.restart();
  while (!condition()) {
    if (SteadyClock::now() >= until) return false;
    if (context.run_one_for(Millis{10}) == 0) context.restart();
  }
  return true;
}

}  // namespace alcove::test
