#include "config/units.hpp"

#include "config/redis_url.hpp"

#include <gtest/gtest.h>

namespace alcove {
namespace {

TEST(Durations, are_a_number_with_a_unit) {
  EXPECT_EQ(parse_duration("250ms"), Millis{250});
  EXPECT_EQ(parse_duration("30s"), Millis{30'000});
  EXPECT_EQ(parse_duration("10m"), Millis{600'000});
  EXPECT_EQ(parse_duration("12h"), Millis{12 * 3'600'000});
  EXPECT_EQ(parse_duration("7d"), Millis{7LL * 86'400'000});
  EXPECT_EQ(parse_duration("1h30m"), Millis{90 * 60'000});
  EXPECT_EQ(parse_duration("0s"), Millis{0});
}

TEST(Durations, are_refused_in_any_other_form) {
  for (const char* text : {"", "10", "10 m", "10 minutes", "m", "-5s", "+5s", "1.5h", "5S", "30m1h", "1h1h",
                           "5s ", " 5s", "99999999999999999999s", "4000d", "10us", "1h30"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Durations, are_written_so_that_they_can_be_read_back) {
  for (const char* text : {"0s", "1ms", "1s", "1m30s", "12h", "1d1h1m1s1ms"}) {
    const auto duration = parse_duration(text);
    ASSERT_TRUE(duration) << text;
    EXPECT_EQ(format_duration(*duration), text);
  }
}

TEST(Durations, are_shown_roughly_in_tables) {
  EXPECT_EQ(format_rough(Millis{0}), "0s");
  EXPECT_EQ(format_rough(Millis{-4}), "0s");
  EXPECT_EQ(format_rough(Millis{350}), "350ms");
  EXPECT_EQ(format_rough(Millis{42'900}), "42s");
  EXPECT_EQ(format_rough(Millis{7'500'000}), "2h5m");
  EXPECT_EQ(format_rough(Millis{3'601'000}), "1h");
  EXPECT_EQ(format_rough(Millis{90'061'000}), "1d1h");
}

TEST(Sizes, are_bytes_or_have_a_binary_unit) {
  EXPECT_EQ(parse_size("0"), 0U);
  EXPECT_EQ(parse_size("512"), 512U);
  EXPECT_EQ(parse_size("32KiB"), 32U << 10);
  EXPECT_EQ(parse_size("10MiB"), 10U << 20);
  EXPECT_EQ(parse_size("1GiB"), 1U << 30);
  for (const char* text :
       {"", "10MB", "10 MiB", "-1", "1.5GiB", "MiB", "99999999999999999999", "18014398509481984KiB"})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Nearest, finds_what_was_probably_meant) {
  const std::vector<std::string> known{"idle_timeout", "max_lifetime", "path", "port"};
  EXPECT_EQ(nearest("idle_timeuot", known), "idle_timeout");
  EXPECT_EQ(nearest("Path", known), "path");
  EXPECT_EQ(nearest("prot", known), "port");
  EXPECT_EQ(nearest("lifetime", known), "");
  EXPECT_EQ(nearest("image", known), "");
  EXPECT_EQ(nearest(std::string(100'000, 'x'), known), "");
}

TEST(RedisUrl, is_read_part_by_part) {
  const auto full = parse_redis_url("rediss://al%40ice:p%2Fw%3A@redis.internal:6380/3");
  ASSERT_TRUE(full);
  EXPECT_TRUE(full->tls);
  EXPECT_EQ(full->user, "al@ice");
  EXPECT_EQ(full->password, "p/w:");
  EXPECT_EQ(full->host, "redis.internal");
  EXPECT_EQ(full->port, 6380);
  EXPECT_EQ(full->database, 3U);
  const auto bare = parse_redis_url("redis://[::1]");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->host, "::1");
  EXPECT_EQ(bare->port, 6379);
  const auto password_only = parse_redis_url("redis://:secret@127.0.0.1/");
  ASSERT_TRUE(password_only);
  EXPECT_EQ(password_only->user, "");
  EXPECT_EQ(password_only->password, "secret");
}

TEST(RedisUrl, that_is_wrong_is_refused_without_repeating_the_password) {
  for (const char* text :
       {"http://x:hunter2@h", "redis://", "redis://:hunter2@/0", "redis://:hunter2@h:0",
        "redis://:hunter2@h:70000", "redis://:hunter2@h/x", "redis://:hunter2%zz@h", "redis://:hunter2@h:1:2",
        "redis://:hunter2@h/0?x=1", "redis://[::1", "redis://[::1]x", "redis://:hunter2@h h"}) {
    const auto url = parse_redis_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().text.find("hunter2"), std::string::npos) << url.error().text;
  }
}

}  // namespace
}  // namespace alcove
