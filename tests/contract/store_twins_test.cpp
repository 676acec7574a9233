// The rules exist twice, in transitions.cpp and in scripts/*.lua. Here both stores get the same thousands of
// random calls, many of them wrong, and must answer the same. The seed of a failure is in its message.
#include "tests/contract/store_bench.hpp"

#include <fmt/format.h>

#include <random>

namespace alcove::test {
namespace {

template <class T>
using Call = std::function<Awaitable<Result<T>>(Store&)>;

std::string told(const Session& s) {
  return fmt::format(
      "{} gen {} {} cause {} reason '{}' uid '{}' ep {} wanted {} pinned {} failures {} due {} what {}",
      s.key.text(), s.generation, name_of(s.state), name_of(s.cause), s.reason, s.pod_uid,
      to_string(s.endpoint), s.wanted, s.pinned, s.failures, s.due != WallTime{}, s.activity);
}
std::string told(const std::optional<Session>& s) {
  return s ? told(*s) : "none";
}
std::string told(const QueuePlace& p) {
  return fmt::format("place {} of {}", p.place, p.queued);
}
std::string told(const std::vector<SessionKey>& keys) {
  std::string text = "keys";
  for (const SessionKey& key : keys) text += " " + key.text();
  return text;
}
std::string told(const BeatReply& reply) {
  std::string text = "draining";
  for (const auto& [key, generation] : reply.draining) text += fmt::format(" {}#{}", key.text(), generation);
  return text;
}
std::string told(const Store::Page& page) {
  std::string text = "page to '" + page.cursor + "'";
  for (const Session& s : page.sessions) text += "; " + told(s);
  return text;
}

class StoreTwins : public ::testing::TestWithParam<unsigned> {
 protected:
  StoreTwins() : random_(GetParam()) {
    RedisStoreSettings settings = shared_redis().settings();
    static int count = 0;
    settings.prefix = "twins" + std::to_string(++count);
    memory_ = make_memory_store(std::make_shared<MemoryBackend>(), io_.get_executor());
    redis_ = make_redis_store(settings, io_);
    memory_->subscribe(&memory_heard_);
    redis_->subscribe(&redis_heard_);
  }

  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }
  // So that every time-out of a millisecond is over in both, and every mark is later than the last.
  void pass_a_moment() {
    const WallTime from = wall_now();
    while (wall_now() < from + Millis{3}) io_.run_one_for(Millis{1});
  }

  template <class T>
  void both(const std::string& what, const Call<T>& call) {
    const Result<T> here = drive(io_, call(*memory_));
    const Result<T> there = drive(io_, call(*redis_));
    const auto text = [](const Result<T>& r) {
      return r ? told(r.value()) : "refused: " + std::string(name_of(r.error().code)) + ": " + r.error().text;
    };
    ASSERT_EQ(text(here), text(there)) << "seed " << GetParam() << ", " << what;
  }

  void beat(const std::vector<Beat::Mark>& marks) {
    Beat mine{"g1", memory_seen_, Millis{600'000}, marks};
    const Result<BeatReply> here = drive(io_, memory_->beat(mine));
    mine.seen = redis_seen_;  // the two count from different numbers
    const Result<BeatReply> there = drive(io_, redis_->beat(mine));
    ASSERT_TRUE(here && there);
    ASSERT_EQ(told(here.value()), told(there.value())) << "seed " << GetParam();
    memory_seen_ = here.value().epoch;
    redis_seen_ = there.value().epoch;
  }

  void step();

  asio::io_context io_;
  std::mt19937 random_;
  Recorder memory_heard_;
  Recorder redis_heard_;
  std::unique_ptr<Store> memory_;
  std::unique_ptr<Store> redis_;
  std::uint64_t memory_seen_ = 0;
  std::uint64_t redis_seen_ = 0;
};

void StoreTwins::step() {
  const SessionKey key(pick(2) == 0 ? "a" : "b", "u" + std::to_string(pick(2)));
  const Session now = drive(io_, memory_->lookup(key)).value();
  const Generation generation = pick(8) == 0 ? pick(4) : now.generation;
  const std::string uid = pick(8) == 0 ? "wrong" : "uid" + std::to_string(now.generation);
  const Endpoint endpoint(asio::ip::make_address("127.0.1.1"), 9000);
  AcquireRequest request{key, std::string(key.scope()), std::string(key.name()), {}};
  request.policy.idle_timeout = Millis{pick(4) == 0 ? 0 : 1};
  request.policy.drain_grace = Millis{0};
  pass_a_moment();
  switch (pick(16)) {
    case 0:
    case 1:
    case 2:
      return both<Session>("acquire", [&](Store& s) { return s.acquire(request); });
    case 3:
    case 4:
      return both<std::optional<Session>>("claim", [](Store& s) {
        return s.claim(ClaimRequest{"p1", 2, Millis{600'000}});
      });
    case 5:
    case 6:
      return both<Session>("publish_ready",
                           [&](Store& s) { return s.publish_ready(key, generation, endpoint, uid); });
    case 7: {
      const Millis retry{pick(2) == 0 ? 1 : 600'000};
      return both<Session>("publish_failed",
                           [&](Store& s) { return s.publish_failed(key, generation, "why", retry); });
    }
    case 8:
      return both<Session>("lost", [&](Store& s) { return s.lost(key, generation, uid, "died"); });
    case 9: {
      Session pod;
      pod.key = key;
      pod.app = "a";
      pod.policy = request.policy;
      pod.generation = generation + pick(2);
      pod.endpoint = endpoint;
      pod.pod_uid = uid;
      return both<Session>("adopt", [&](Store& s) { return s.adopt(pod); });
    }
    case 10:
    case 11: {
      const auto cause = static_cast<EndCause>(pick(4));
      return both<Session>("drain", [&](Store& s) { return s.drain(key, generation, cause); });
    }
    case 12:
      return both<Session>("begin_stop", [&](Store& s) { return s.begin_stop(key, generation); });
    case 13:
      return both<Session>("gone", [&](Store& s) { return s.gone(key, generation); });
    case 14: {
      std::vector<Beat::Mark> marks;
      if (pick(2) == 0) marks.push_back({key, generation, Millis{0}, "request"});
      return beat(marks);
    }
    default: {
      const bool pinned = pick(2) == 0;
      both<Session>("pin", [&](Store& s) { return s.pin(key, pinned); });
      const std::vector<SessionKey> keys{key, SessionKey("c", "unknown")};
      both<std::vector<SessionKey>>("renew", [&](Store& s) { return s.renew("p1", Millis{600'000}, keys); });
    }
  }
}

TEST_P(StoreTwins, answer_the_same_to_the_same_calls) {
  ASSERT_TRUE(until(io_, [&] { return redis_->connected(); }));
  for (int i = 0; i < 250 && !HasFatalFailure(); ++i) {
    step();
    both<Store::Page>("list", [](Store& s) { return s.list("", 3); });
    for (const char* key : {"a/u0", "a/u1", "b/u0", "b/u1"}) {
      both<Session>("lookup", [&](Store& s) { return s.lookup(key_of(key)); });
      both<QueuePlace>("place", [&](Store& s) { return s.place(key_of(key)); });
    }
  }
  for (const char* text : {"a/u0", "a/u1", "b/u0", "b/u1"}) {
    const SessionKey key = key_of(text);
    EXPECT_TRUE(until(io_, [&] { return memory_heard_.story(key) == redis_heard_.story(key); }))
        << memory_heard_.story(key) << "\n"
        << redis_heard_.story(key);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoreTwins, ::testing::Range(1U, 9U));

}  // namespace
}  // namespace alcove::test
