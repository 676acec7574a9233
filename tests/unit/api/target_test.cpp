#include "api/target.hpp"

#include <gtest/gtest.h>

namespace alcove {
namespace {

using Kind = Target::Kind;

Kind kind_of(std::string_view text) {
  const auto target = parse_target(text);
  return target ? target->kind : Kind::nothing;
}

TEST(Target, is_one_of_few) {
  EXPECT_EQ(kind_of("/healthz"), Kind::health);
  EXPECT_EQ(kind_of("/readyz?verbose"), Kind::ready);
  EXPECT_EQ(kind_of("/metrics"), Kind::metrics);
  EXPECT_EQ(kind_of("/api/v1/sessions"), Kind::sessions);
  EXPECT_EQ(kind_of("/api/v1/sessions/"), Kind::sessions);
  EXPECT_EQ(kind_of("/api/v1/sessions/demo/ada"), Kind::session);
  EXPECT_EQ(kind_of("/api/v1/sessions/demo/ada/logs?follow=1"), Kind::logs);
  EXPECT_EQ(kind_of("/api/v1/sessions/demo/logs"), Kind::session) << "a user may be called logs";
  EXPECT_EQ(kind_of("/api/v1/sessionsX"), Kind::nothing);
  EXPECT_EQ(kind_of("/"), Kind::nothing);
  EXPECT_EQ(kind_of("*"), Kind::nothing);
  EXPECT_EQ(kind_of(""), Kind::nothing);
}

TEST(Target, with_a_key_that_cannot_be_is_refused) {
  for (const char* text : {"/api/v1/sessions/demo", "/api/v1/sessions/demo/", "/api/v1/sessions/De/ada",
                           "/api/v1/sessions/a/b/c", "/api/v1/sessions/demo/%zz", "/api/v1/sessions/demo/..",
                           "/api/v1/sessions/demo%00/ada"}) {
    const auto target = parse_target(text);
    EXPECT_FALSE(target) << text;
  }
  EXPECT_EQ(parse_target("/api/v1/sessions/demo/%61da")->key.text(), "demo/ada");
}

TEST(Query, values_are_decoded) {
  EXPECT_EQ(query_value("a=1&scope=x%2Fy", "scope"), "x/y");
  EXPECT_EQ(query_value("a=1", "scope"), "");
  EXPECT_TRUE(query_flag("follow=1", "follow"));
  EXPECT_TRUE(query_flag("follow=true", "follow"));
  EXPECT_FALSE(query_flag("follow=0", "follow"));
  EXPECT_FALSE(query_flag("", "follow"));
  EXPECT_EQ(query_duration("wait=30s", "wait", Millis{60'000}).value(), Millis{30'000});
  EXPECT_EQ(query_duration("wait=1h", "wait", Millis{60'000}).value(), Millis{60'000});
  EXPECT_EQ(query_duration("", "wait", Millis{60'000}).value(), Millis{0});
  EXPECT_FALSE(query_duration("wait=30", "wait", Millis{60'000}));
}

}  // namespace
}  // namespace alcove
