#include "base/backoff.hpp"

#include <gtest/gtest.h>

#include <set>

namespace alcove {
namespace {

TEST(backoff, doubles_from_first_to_most) {
  EXPECT_EQ(backoff_delay(Millis{100}, Millis{1000}, 0), Millis{100});
  EXPECT_EQ(backoff_delay(Millis{100}, Millis{1000}, 1), Millis{100});
  EXPECT_EQ(backoff_delay(Millis{100}, Millis{1000}, 2), Millis{200});
  EXPECT_EQ(backoff_delay(Millis{100}, Millis{1000}, 4), Millis{800});
  EXPECT_EQ(backoff_delay(Millis{100}, Millis{1000}, 5), Millis{1000});
  EXPECT_EQ(backoff_delay(Millis{100}, Millis{1000}, 4'000'000'000U), Millis{1000});
  EXPECT_EQ(backoff_delay(Millis{2000}, Millis{1000}, 1), Millis{1000});
}

TEST(backoff, bears_extreme_settings) {
  EXPECT_EQ(backoff_delay(Millis{0}, Millis{1000}, 4'000'000'000U), Millis{0});
  EXPECT_EQ(backoff_delay(Millis{1}, Millis::max(), 4'000'000'000U), Millis::max());
}

TEST(backoff, jitters_between_half_and_whole) {
  std::mt19937 random(1);
  std::set<Millis> seen;
  for (int i = 0; i < 200; ++i) {
    Backoff backoff(Millis{1000}, Millis{4000});
    const Millis first = backoff.next(random);
    EXPECT_GE(first, Millis{500});
    EXPECT_LE(first, Millis{1000});
    const Millis second = backoff.next(random);
    EXPECT_GE(second, Millis{1000});
    EXPECT_LE(second, Millis{2000});
    seen.insert(first);
  }
  EXPECT_GT(seen.size(), 50U);
}

TEST(backoff, starts_over_after_a_reset) {
  std::mt19937 random(1);
  Backoff backoff(Millis{100}, Millis{100'000});
  for (int i = 0; i < 10; ++i) backoff.next(random);
  EXPECT_EQ(backoff.failures(), 10U);
  backoff.reset();
  EXPECT_LE(backoff.next(random), Millis{100});
}

}  // namespace
}  // namespace alcove
