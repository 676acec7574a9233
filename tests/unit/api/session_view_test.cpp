#include "api/session_view.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace alcove {
namespace {

const WallTime kNow = from_unix_ms(1'700'000'000'000);

Session ready() {
  Session out;
  out.key = SessionKey("demo", "ada");
  out.state = State::ready;
  out.generation = 3;
  out.pod_uid = "uid-3";
  out.endpoint = *parse_endpoint("127.96.0.1:8080");
  out.ready_since = kNow - Millis{60'000};
  out.last_activity = kNow - Millis{42'000};
  out.activity = "request";
  out.due = out.last_activity + out.policy.idle_timeout;
  return out;
}

std::string why(const Session& session, QueuePlace place = {}) {
  return explain(session, place, kNow);
}

TEST(Explanation, of_a_session_in_use_says_what_keeps_it_and_how_long) {
  EXPECT_EQ(why(ready()), "last used 42s ago (request); goes in 9m18s unless it is used again");
}

TEST(Explanation, of_a_session_that_does_not_idle_says_so) {
  Session session = ready();
  session.policy.idle_timeout = Millis{0};
  session.due = WallTime{};
  EXPECT_EQ(why(session), "last used 42s ago (request); has no idle time-out, so it does not go by itself");
  session = ready();
  session.pinned = true;
  EXPECT_EQ(why(session), "last used 42s ago (request); pinned, so it does not go by itself");
}

TEST(Explanation, of_a_session_near_the_end_of_its_lifetime_says_so) {
  Session session = ready();
  session.policy.max_lifetime = Millis{120'000};
  session.due = session.ready_since + session.policy.max_lifetime;
  session.last_activity = kNow;
  EXPECT_EQ(why(session), "last used 0s ago (request); goes in 1m, when its lifetime is over");
  session.policy.idle_timeout = Millis{30'000};
  session.due = kNow + Millis{30'000};
  EXPECT_EQ(why(session), "last used 0s ago (request); goes in 30s unless it is used again");
}

TEST(Explanation, of_every_other_state_is_a_sentence) {
  Session session = ready();
  session.state = State::pending;
  EXPECT_EQ(why(session, {3, 10}), "waits for its start, at place 3 of 10");
  EXPECT_EQ(why(session), "waits for its start");
  session.state = State::starting;
  session.changed = kNow - Millis{3'000};
  EXPECT_EQ(why(session), "its pod has been starting for 3s");
  session.state = State::draining;
  session.cause = EndCause::idle;
  session.due = kNow + Millis{4'000};
  EXPECT_EQ(why(session), "was idle; stops in 4s unless it is used again");
  session.cause = EndCause::deleted;
  EXPECT_EQ(why(session), "it was stopped; stops as soon as no gateway can reach it");
  session.state = State::stopping;
  session.wanted = true;
  EXPECT_EQ(
      why(session),
      "its pod is being stopped, somebody stopped it; the next one starts at once, since somebody waits");
  session.state = State::failed;
  session.reason = "exited with code 3";
  session.retry_at = kNow + Millis{5'000};
  EXPECT_EQ(why(session), "did not start: exited with code 3; can be tried again in 5s");
  session.state = State::absent;
  session.reason = "";
  EXPECT_EQ(why(session), "has no pod");
}

TEST(Json, has_what_programs_need) {
  const nlohmann::json json = to_json(ready(), {}, kNow);
  EXPECT_EQ(json["key"], "demo/ada");
  EXPECT_EQ(json["state"], "ready");
  EXPECT_EQ(json["generation"], 3);
  EXPECT_EQ(json["pod"]["endpoint"], "127.96.0.1:8080");
  EXPECT_EQ(json["goes_in_ms"], 558'000);
  EXPECT_EQ(json["last_activity"], to_unix_ms(kNow) - 42'000);
  EXPECT_TRUE(json["retry_at"].is_null());
  EXPECT_FALSE(json.contains("queue"));
  EXPECT_EQ(to_json(ready(), {2, 5}, kNow)["queue"]["place"], 2);
}

}  // namespace
}  // namespace alcove
