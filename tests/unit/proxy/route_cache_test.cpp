// What a cached route says, which of two it keeps, and who makes room.
#include "proxy/route_cache.hpp"

#include "proxy/pod_pool.hpp"

#include <gtest/gtest.h>

#include <string>

namespace alcove::proxy {
namespace {

const std::string kUid = "static-0123456789abcdef0123456789abcdef";

Session ready(const std::string& name, Generation generation = 1, const std::string& uid = kUid) {
  Session session;
  session.key = SessionKey("demo", name);
  session.generation = generation;
  session.pod_uid = uid;
  session.endpoint = Endpoint(asio::ip::make_address_v4("127.0.9.1"), 8080);
  return session;
}

TEST(route_cache, route_says_what_its_session_said) {
  RouteCache routes(10);
  for (const std::string& name : {std::string("a"), std::string(63, 'z')})
    for (const std::string& uid : {std::string(), std::string("u"), std::string(400, 'u')}) {
      const Session session = ready(name, 7, uid);
      const RoutePtr route = routes.insert(session);
      EXPECT_EQ(route->key(), session.key.text());
      EXPECT_EQ(route->session_key(), session.key);
      EXPECT_EQ(route->pod_uid(), uid);
      EXPECT_EQ(route->generation, 7U);
      EXPECT_EQ(route->endpoint.unpacked(), session.endpoint);
      EXPECT_TRUE(route->leads_to(session));
      EXPECT_EQ(routes.find(session.key.text()), route.get());
      routes.clear();
    }
}

TEST(route_cache, quiet_time_is_a_sixtieth_of_the_idle_timeout_and_ten_seconds_at_the_most) {
  RouteCache routes(10);
  const auto quiet = [&](Millis idle_timeout) {
    Session session = ready("ada");
    session.policy.idle_timeout = idle_timeout;
    routes.clear();
    return Millis{routes.insert(session)->quiet_time};
  };
  EXPECT_EQ(quiet(Millis{3'000}), Millis{50});
  EXPECT_EQ(quiet(Millis{600'000}), Millis{10'000});
  EXPECT_EQ(quiet(Millis{315'360'000'000}), Millis{10'000});
  EXPECT_EQ(quiet(Millis{0}), Millis{10'000}) << "never idle";
}

TEST(route_cache, the_same_pod_keeps_its_route_and_any_difference_makes_another) {
  RouteCache routes(10);
  const RoutePtr first = routes.insert(ready("ada"));
  EXPECT_EQ(routes.insert(ready("ada")), first);

  Session moved = ready("ada");
  moved.endpoint.port(8081);
  const RoutePtr second = routes.insert(moved);
  EXPECT_NE(second, first);
  EXPECT_FALSE(first->current);
  EXPECT_TRUE(second->current);
  const RoutePtr third = routes.insert(ready("ada", 1, "another"));
  EXPECT_FALSE(second->current);
  const RoutePtr fourth = routes.insert(ready("ada", 2, "another"));
  EXPECT_FALSE(third->current);
  EXPECT_EQ(routes.find("demo/ada"), fourth.get());
  EXPECT_EQ(routes.size(), 1U);
}

TEST(route_cache, late_answer_does_not_replace_a_newer_generation) {
  RouteCache routes(10);
  const RoutePtr newer = routes.insert(ready("ada", 3));
  const RoutePtr late = routes.insert(ready("ada", 2));
  EXPECT_FALSE(late->current) << "nothing could ever drop it";
  EXPECT_EQ(late->generation, 2U);
  EXPECT_TRUE(newer->current);
  EXPECT_EQ(routes.find("demo/ada"), newer.get());
}

TEST(route_cache, drop_takes_up_to_a_generation_and_nothing_newer) {
  RouteCache routes(10);
  const RoutePtr route = routes.insert(ready("ada", 3));
  EXPECT_EQ(routes.drop("demo/ada", 2), nullptr);
  EXPECT_EQ(routes.drop("demo/bob", 9), nullptr);
  EXPECT_TRUE(route->current);
  EXPECT_EQ(routes.drop("demo/ada", 3), route);
  EXPECT_FALSE(route->current);
  EXPECT_EQ(routes.find("demo/ada"), nullptr);
}

TEST(route_cache, room_is_made_from_what_nobody_uses) {
  constexpr std::size_t kMost = 64;
  RouteCache routes(kMost);
  const RoutePtr busy = routes.insert(ready("busy"));
  busy->in_flight = 1;
  for (int i = 0; i < 1'000; ++i) {
    routes.insert(ready("user-" + std::to_string(i)));
    ASSERT_LE(routes.size(), kMost);
  }
  EXPECT_TRUE(busy->current);
  EXPECT_EQ(routes.find("demo/busy"), busy.get());
  EXPECT_NE(routes.find("demo/user-999"), nullptr);
}

TEST(route_cache, room_is_made_even_if_everything_is_in_use) {
  RouteCache routes(4);
  std::vector<RoutePtr> all;
  for (int i = 0; i < 6; ++i) {
    all.push_back(routes.insert(ready("user-" + std::to_string(i))));
    all.back()->in_flight = 1;
  }
  EXPECT_LE(routes.size(), 4U);
  EXPECT_TRUE(all.back()->current);
}

}  // namespace
}  // namespace alcove::proxy
