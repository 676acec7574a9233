// Whoever asks for a moment is looked at then and not before, whoever else comes and goes.
#include "proxy/tick_list.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace alcove::test {
namespace {

SteadyTime at(int ms) {
  return SteadyTime{} + Millis{ms};
}

struct Sleeper;
using TickList = proxy::TickList<Sleeper>;

struct Sleeper {
  explicit Sleeper(TickList& l) : list(l) { list.enter(*this); }
  ~Sleeper() { list.leave(*this); }
  SteadyTime on_tick(SteadyTime now) {
    looked_at = now;
    ++looks;
    return next;
  }

  TickList& list;
  std::uint32_t tick_place = 0;
  SteadyTime next = SteadyTime::max();
  SteadyTime looked_at{};
  int looks = 0;
};

TEST(TickListTest, looks_once_at_the_earliest_moment_asked_for) {
  TickList list;
  Sleeper one(list);
  list.tick(at(100));
  EXPECT_EQ(one.looks, 0);
  list.by(one, at(300));
  list.by(one, at(500));
  list.tick(at(299));
  EXPECT_EQ(one.looks, 0);
  list.tick(at(300));
  EXPECT_EQ(one.looks, 1);
  list.tick(at(900));
  EXPECT_EQ(one.looks, 1);
}

TEST(TickListTest, looks_again_when_the_last_look_said_so) {
  TickList list;
  Sleeper one(list);
  one.next = at(250);
  list.by(one, proxy::kNextTick);
  list.tick(at(0));
  list.tick(at(249));
  EXPECT_EQ(one.looks, 1);
  one.next = proxy::kNextTick;
  for (const int ms : {250, 251, 252}) list.tick(at(ms));
  EXPECT_EQ(one.looks, 4);
}

TEST(TickListTest, keeps_everyones_moment_while_others_come_and_go) {
  TickList list;
  std::minstd_rand chance(7);
  std::vector<std::pair<std::unique_ptr<Sleeper>, int>> sleepers;
  for (int i = 0; i < 3000; ++i) {
    if (sleepers.empty() || chance() % 3 != 0) {
      const int ms = static_cast<int>(chance() % 1000);
      sleepers.emplace_back(std::make_unique<Sleeper>(list), ms);
      list.by(*sleepers.back().first, at(ms));
    } else {
      std::swap(sleepers[chance() % sleepers.size()], sleepers.back());
      sleepers.pop_back();
    }
  }
  std::size_t present = 0;
  list.for_each([&present](Sleeper&) { ++present; });
  EXPECT_EQ(present, sleepers.size());
  for (int ms = 0; ms < 1000; ++ms) list.tick(at(ms));
  for (const auto& [sleeper, ms] : sleepers) {
    EXPECT_EQ(sleeper->looks, 1);
    EXPECT_EQ(sleeper->looked_at, at(ms));
  }
}

}  // namespace
}  // namespace alcove::test
