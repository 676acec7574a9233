// Bytes of a watch to events, and answers that are no success to errors.
#include "k8s/watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alcove::k8s {
namespace {

using testing::HasSubstr;

constexpr std::string_view kAdded =
    R"({"type":"ADDED","object":{"metadata":{"name":"a","uid":"u","resourceVersion":"7"}}})";
constexpr std::string_view kBookmark = R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}})";

TEST(WatchLines, are_events_however_they_are_cut) {
  const std::string both = std::string(kAdded) + "\n" + std::string(kBookmark) + "\n";
  for (std::size_t cut = 0; cut <= both.size(); ++cut) {
    WatchLines lines;
    std::vector<WatchEvent> events;
    ASSERT_TRUE(lines.take(std::string_view(both).substr(0, cut), events));
    ASSERT_TRUE(lines.take(std::string_view(both).substr(cut), events));
    ASSERT_EQ(events.size(), 2U) << cut;
    EXPECT_EQ(events[0].change, Change::added);
    EXPECT_EQ(events[0].object.name(), "a");
    EXPECT_EQ(events[0].object.uid(), "u");
    EXPECT_EQ(events[1].change, Change::bookmark);
    EXPECT_EQ(events[1].object.version(), "9");
  }
}

TEST(WatchLines, error_event_ends_it_and_keeps_what_came_before) {
  WatchLines lines;
  std::vector<WatchEvent> events;
  const ApiResult<void> taken = lines.take(
      std::string(kAdded) +
          "\n{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\","
          "\"message\":\"too old resource version: 1 (5)\"}}\n",
      events);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().reason, ApiReason::gone);
  EXPECT_EQ(taken.error().word, "Expired");
  EXPECT_EQ(events.size(), 1U);
}

TEST(WatchLines, what_is_no_event_is_refused) {
  for (const char* line :
       {"nonsense\n", "[]\n", "{\"type\":\"ADDED\"}\n", "{\"type\":\"X\",\"object\":{}}\n", "\n"}) {
    WatchLines lines;
    std::vector<WatchEvent> events;
    const ApiResult<void> taken = lines.take(line, events);
    ASSERT_FALSE(taken) << line;
    EXPECT_EQ(taken.error().reason, ApiReason::not_understood);
  }
}

TEST(ApiErrors, speak_with_the_words_of_the_api) {
  const ApiError error = error_from_answer(
      403,
      R"({"kind":"Status","status":"Failure","message":"pods \"x\" is forbidden: exceeded quota: small","reason":"Forbidden","code":403})",
      std::nullopt);
  EXPECT_EQ(error.reason, ApiReason::forbidden);
  EXPECT_EQ(error.word, "Forbidden");
  EXPECT_THAT(error.message, HasSubstr("exceeded quota: small"));
  EXPECT_EQ(to_error(error).code, Errc::denied);
  EXPECT_FALSE(passing(error));
}

TEST(ApiErrors, do_not_take_an_outage_of_the_store_for_a_refusal) {
  const ApiError error = error_from_answer(
      403,
      R"({"kind":"Status","reason":"Forbidden","code":403,"message":"pods \"x\" is forbidden: rpc error: code = Unavailable desc = transport is closing"})",
      std::nullopt);
  EXPECT_EQ(error.reason, ApiReason::server);
  EXPECT_TRUE(passing(error));
}

TEST(ApiErrors, tell_the_two_conflicts_apart) {
  EXPECT_EQ(error_from_answer(409, R"({"kind":"Status","reason":"AlreadyExists","code":409})", {}).reason,
            ApiReason::already_exists);
  EXPECT_EQ(error_from_answer(409, R"({"kind":"Status","reason":"Conflict","code":409})", {}).reason,
            ApiReason::conflict);
}

TEST(ApiErrors, of_somebody_in_between_are_shown_safely) {
  const ApiError error = error_from_answer(502, "<html>\x1b[31mBad gateway\n<p>", std::nullopt);
  EXPECT_EQ(error.reason, ApiReason::server);
  EXPECT_TRUE(passing(error));
  EXPECT_EQ(error.message, "the Kubernetes API answered 502: <html>\\x1b[31mBad gateway");
  EXPECT_EQ(error_from_answer(418, "", std::nullopt).message, "the Kubernetes API answered 418");
}

TEST(ApiErrors, take_the_pause_from_the_head_or_else_the_body) {
  const char* body =
      R"({"kind":"Status","reason":"TooManyRequests","code":429,"details":{"retryAfterSeconds":3}})";
  EXPECT_EQ(error_from_answer(429, body, std::nullopt).retry_after, Millis{3'000});
  EXPECT_EQ(error_from_answer(429, body, Millis{5'000}).retry_after, Millis{5'000});
}

TEST(Objects, read_what_is_missing_or_of_another_type_as_empty) {
  const Object object{Json::parse(R"({"metadata":{"name":7,"labels":{"a":"b"}},"status":[]})")};
  EXPECT_EQ(object.name(), "");
  EXPECT_EQ(object.label("a"), "b");
  EXPECT_EQ(object.label("c"), "");
  EXPECT_FALSE(object.deleting());
  EXPECT_TRUE(list_at(object.json, {"status", "conditions"}).empty());
  EXPECT_EQ(number_at(object.json, {"metadata", "labels", "a"}), 0);
}

}  // namespace
}  // namespace alcove::k8s
