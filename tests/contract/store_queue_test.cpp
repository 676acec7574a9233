// The start queue: one claim per generation, fairness between scopes, the limit, claims that end.
#include "tests/contract/store_bench.hpp"

namespace alcove::test {
namespace {

class StoreQueue : public StoreTest {};
INSTANTIATE_TEST_SUITE_P(On, StoreQueue, ::testing::Values(Kind::memory, Kind::redis), kind_name);

TEST_P(StoreQueue, a_hundred_acquires_of_one_key_from_two_stores_are_one_start) {
  const auto other = make();
  int answers = 0;
  for (int i = 0; i < 50; ++i)
    for (Store* each : {store.get(), other.get()})
      launch(io, each->acquire(request("notebook/ada")), [&](std::exception_ptr, Result<Session> s) {
        ASSERT_TRUE(s);
        EXPECT_EQ(s.value().generation, 1U);
        ++answers;
      });
  ASSERT_TRUE(eventually([&] { return answers == 100; }));
  EXPECT_TRUE(claim());
  EXPECT_FALSE(claim());
  EXPECT_FALSE(get(other->claim(ClaimRequest{"p2", 20, Millis{30'000}})));
}

TEST_P(StoreQueue, scopes_are_served_in_turn_and_place_says_so_in_advance) {
  const std::vector<std::string> order{"a/u1", "a/u2", "a/u3", "a/u4", "b/u1", "b/u2", "c/u1"};
  for (const std::string& key : order) acquire(key);
  EXPECT_EQ(get(store->place(key_of("a/nobody"))).place, 0U);
  EXPECT_EQ(get(store->place(key_of("z/nobody"))).queued, 7U);

  // Before every claim, each place that was told must come true if nobody else arrives.
  std::vector<std::string> served;
  while (served.size() < order.size()) {
    std::map<std::uint64_t, std::string> told;
    for (const std::string& key : order) {
      const QueuePlace place = get(store->place(key_of(key)));
      EXPECT_EQ(place.queued, order.size() - served.size());
      if (place.place != 0) {
        EXPECT_TRUE(told.emplace(place.place, key).second) << "two at place " << place.place;
      }
    }
    ASSERT_EQ(told.size(), order.size() - served.size());
    EXPECT_EQ(told.rbegin()->first, told.size()) << "places are 1 to n";
    const auto next = claim();
    ASSERT_TRUE(next);
    served.push_back(next->key.text());
    EXPECT_EQ(served.back(), told[1]);
  }
  EXPECT_EQ(served, (std::vector<std::string>{"a/u1", "b/u1", "c/u1", "a/u2", "b/u2", "a/u3", "a/u4"}));
  EXPECT_FALSE(claim());
}

TEST_P(StoreQueue, a_scope_with_many_starts_does_not_starve_one_that_comes_later) {
  for (int i = 0; i < 50; ++i) acquire("crowd/u" + std::to_string(i));
  ASSERT_TRUE(claim("p", 100));
  acquire("single/ada");
  EXPECT_LE(get(store->place(key_of("single/ada"))).place, 2U);
  const auto second = claim("p", 100);
  const auto third = claim("p", 100);
  ASSERT_TRUE(second && third);
  EXPECT_TRUE(second->key.text() == "single/ada" || third->key.text() == "single/ada");
}

TEST_P(StoreQueue, limit_counts_the_starts_of_all_provisioners) {
  for (int i = 0; i < 4; ++i) acquire("a/u" + std::to_string(i));
  ASSERT_TRUE(claim("p1", 2));
  const auto second = claim("p2", 2);
  ASSERT_TRUE(second);
  EXPECT_FALSE(claim("p1", 2));
  EXPECT_FALSE(claim("p3", 2));
  get(store->publish_ready(second->key, 1, endpoint(), "u"));
  const auto third = claim("p3", 2);
  ASSERT_TRUE(third) << "one has ended";
  get(store->publish_failed(third->key, 1, "r", Millis{1'000}));
  const auto fourth = claim("p3", 2);
  ASSERT_TRUE(fourth);
  get(store->drain(fourth->key, 1, EndCause::deleted));
  EXPECT_FALSE(claim("p1", 1)) << "u0 is still starting";
}

TEST_P(StoreQueue, claim_past_its_lease_is_handed_out_first_with_the_same_generation) {
  acquire("a/dead");
  ASSERT_TRUE(claim("p1", 1, Millis{20}));
  acquire("a/queued");
  std::optional<Session> again;
  ASSERT_TRUE(eventually([&] {
    again = claim("p2", 1);
    return again.has_value();
  }));
  EXPECT_EQ(again->key.text(), "a/dead");
  EXPECT_EQ(again->generation, 1U);
  EXPECT_EQ(again->state, State::starting);
  EXPECT_EQ(get(store->renew("p1", Millis{1'000}, {again->key})), std::vector<SessionKey>{again->key});
  EXPECT_TRUE(get(store->renew("p2", Millis{1'000}, {again->key})).empty());
  EXPECT_FALSE(refusal(store->publish_ready(again->key, 1, endpoint(), "u")));
}

TEST_P(StoreQueue, renewed_claim_is_kept_past_its_first_lease) {
  acquire("a/slow");
  const auto slow = claim("p1", 20, Millis{400});
  ASSERT_TRUE(slow);
  EXPECT_TRUE(get(store->renew("p1", Millis{60'000}, {slow->key})).empty());
  // A claim with the same lease, taken later, has ended: so has the first lease of the renewed one.
  acquire("a/short");
  const auto short_one = claim("p1", 20, Millis{400});
  ASSERT_TRUE(short_one);
  std::optional<Session> ended;
  ASSERT_TRUE(eventually([&] {
    ended = claim("p2");
    return ended.has_value();
  }));
  EXPECT_EQ(ended->key, short_one->key);
  EXPECT_FALSE(claim("p2"));
}

TEST_P(StoreQueue, renew_lists_only_what_is_not_this_provisioners) {
  acquire("a/mine");
  acquire("b/others");
  const auto mine = claim("p1");
  const auto others = claim("p2");
  ASSERT_TRUE(mine && others);
  const std::vector<SessionKey> asked{mine->key, others->key, key_of("c/unknown")};
  const std::vector<SessionKey> expected{others->key, key_of("c/unknown")};
  EXPECT_EQ(get(store->renew("p1", Millis{30'000}, asked)), expected);
  EXPECT_TRUE(get(store->renew("p1", Millis{30'000}, {})).empty());
}

TEST_P(StoreQueue, session_that_comes_back_after_leaving_the_queue_is_queued_once) {
  acquire("a/u1");
  acquire("a/u2");
  get(store->drain(key_of("a/u1"), 1, EndCause::deleted));
  acquire("a/u1");
  EXPECT_EQ(get(store->place(key_of("a/u1"))).place, 2U) << "at the end";
  EXPECT_EQ(get(store->place(key_of("a/u1"))).queued, 2U);
  EXPECT_EQ(claim()->key.text(), "a/u2");
  EXPECT_EQ(claim()->key.text(), "a/u1");
  EXPECT_FALSE(claim());
  EXPECT_EQ(get(store->place(key_of("a/u1"))).queued, 0U);
}

}  // namespace
}  // namespace alcove::test
