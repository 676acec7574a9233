// What only a store across a network can suffer: a server that dies, comes back, is not there, is silent,
// refuses, forgets its scripts, is emptied; TLS and ACL users. Against a real redis-server.
#include "base/log.hpp"
#include "tests/contract/store_bench.hpp"

#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

namespace alcove::test {
namespace {

// Takes the process log for the time of a test.
class LogCapture {
 public:
  LogCapture() : before_(spdlog::default_logger()) {
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
  }
  ~LogCapture() { spdlog::set_default_logger(before_); }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  std::string text() const { return text_.str(); }
  int count(std::string_view word) const {
    const std::string all = text();
    int found = 0;
    for (auto at = all.find(word); at != std::string::npos; at = all.find(word, at + 1)) ++found;
    return found;
  }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

class RedisStoreTest : public ::testing::Test {
 protected:
  template <class T>
  T run(Awaitable<T> work) {
    return drive(io, std::move(work));
  }
  static AcquireRequest ada() {
    AcquireRequest request;
    request.key = key_of("notebook/ada");
    request.app = "notebook";
    request.user = "ada";
    return request;
  }
  bool connects(const Store& store) {
    return until(io, [&] { return store.connected(); });
  }

  asio::io_context io;
};

TEST_F(RedisStoreTest, works_again_and_reports_a_gap_after_the_server_was_killed_and_restarted) {
  RedisServer server;
  const auto store = make_redis_store(server.settings(), io);
  Recorder recorder;
  store->subscribe(&recorder);
  ASSERT_TRUE(connects(*store));
  const int gaps = recorder.gaps;
  ASSERT_TRUE(run(store->acquire(ada())));
  server.kill();
  ASSERT_TRUE(until(io, [&] { return !store->connected(); }));
  EXPECT_EQ(recorder.gaps, gaps) << "a gap is reported when the server is back, not before";
  server.start();
  ASSERT_TRUE(connects(*store));
  EXPECT_EQ(recorder.gaps, gaps + 2) << "once for each of the two links";
  const auto session = run(store->acquire(ada()));
  ASSERT_TRUE(session) << session.error().text;
  EXPECT_EQ(session.value().generation, 1U) << "the record was kept";
  ASSERT_TRUE(run(store->claim(ClaimRequest{"p", 20, Millis{1'000}})));
  EXPECT_TRUE(until(io, [&] { return recorder.story(key_of("notebook/ada")).ends_with("starting 1"); }));
}

TEST_F(RedisStoreTest, call_made_while_the_server_is_away_waits_and_succeeds_when_it_comes_back_in_time) {
  RedisServer server;
  RedisStoreSettings settings = server.settings();
  settings.timeout = Millis{8'000};
  const auto store = make_redis_store(settings, io);
  ASSERT_TRUE(connects(*store));
  server.kill();
  ASSERT_TRUE(until(io, [&] { return !store->connected(); }));
  std::optional<Result<Session>> answer;
  launch(io, store->acquire(ada()),
         [&](std::exception_ptr, Result<Session> result) { answer = std::move(result); });
  io.poll();
  EXPECT_FALSE(answer);
  server.start();
  ASSERT_TRUE(until(io, [&] { return answer.has_value(); }));
  EXPECT_TRUE(*answer) << answer->error().text;
}

TEST_F(RedisStoreTest, call_in_flight_when_the_link_breaks_is_repeated_if_it_can_be) {
  RedisServer server;
  RedisStoreSettings settings = server.settings();
  settings.timeout = Millis{8'000};
  const auto store = make_redis_store(settings, io);
  ASSERT_TRUE(connects(*store));
  server.freeze();
  std::optional<Result<Session>> acquired;
  std::optional<Result<std::optional<Session>>> claimed;
  launch(io, store->acquire(ada()),
         [&](std::exception_ptr, Result<Session> result) { acquired = std::move(result); });
  launch(io, store->claim(ClaimRequest{"p", 20, Millis{1'000}}),
         [&](std::exception_ptr, Result<std::optional<Session>> result) { claimed = std::move(result); });
  io.poll();  // both are written
  server.kill();
  server.start();
  ASSERT_TRUE(until(io, [&] { return acquired && claimed; }));
  EXPECT_TRUE(*acquired) << acquired->error().text;
  ASSERT_FALSE(*claimed) << "claiming twice would be two claims";
  EXPECT_EQ(claimed->error().code, Errc::timeout);
  EXPECT_NE(claimed->error().text.find("may or may not"), std::string::npos) << claimed->error().text;
}

TEST_F(RedisStoreTest, server_that_is_not_there_at_start_is_unavailable_in_bounded_time_then_found) {
  RedisServer server;
  RedisStoreSettings settings = server.settings();
  settings.timeout = Millis{150};
  server.kill();
  const LogCapture log;
  const auto store = make_redis_store(settings, io);
  EXPECT_FALSE(store->connected());
  const auto from = SteadyClock::now();
  const auto answer = run(store->acquire(ada()));
  const auto took = SteadyClock::now() - from;
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::unavailable);
  EXPECT_NE(answer.error().text.find("refused"), std::string::npos) << answer.error().text;
  EXPECT_NE(answer.error().text.find(std::to_string(settings.port)), std::string::npos)
      << answer.error().text;
  EXPECT_GE(took, settings.timeout) << "it waits for a reconnect";
  EXPECT_LT(took, std::chrono::seconds(5));
  EXPECT_EQ(log.count("Connection refused"), 1) << "logged once:\n" << log.text();
  server.start();
  ASSERT_TRUE(connects(*store));
  EXPECT_TRUE(run(store->acquire(ada())));
}

TEST_F(RedisStoreTest, wrong_password_says_so_and_is_logged_once) {
  RedisServer server({.password = "right"});
  RedisStoreSettings settings = server.settings();
  settings.password = "wrong-and-secret";
  settings.timeout = Millis{300};
  const LogCapture log;
  const auto store = make_redis_store(settings, io);
  for (int i = 0; i < 3; ++i) {
    const auto answer = run(store->lookup(key_of("notebook/ada")));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::unavailable);
    EXPECT_NE(answer.error().text.find("WRONGPASS"), std::string::npos) << answer.error().text;
  }
  EXPECT_FALSE(store->connected());
  EXPECT_EQ(log.count("WRONGPASS"), 1) << log.text();
  EXPECT_EQ(log.count("wrong-and-secret"), 0) << log.text();

  const auto with_right_one = make_redis_store(server.settings(), io);
  EXPECT_TRUE(connects(*with_right_one));
}

TEST_F(RedisStoreTest, missing_password_says_so) {
  RedisServer server({.password = "right"});
  RedisStoreSettings settings = server.settings();
  settings.password.clear();
  settings.timeout = Millis{300};
  const auto store = make_redis_store(settings, io);
  const auto answer = run(store->lookup(key_of("notebook/ada")));
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().text.find("NOAUTH"), std::string::npos) << answer.error().text;
}

TEST_F(RedisStoreTest, scripts_that_the_server_forgot_are_loaded_again) {
  RedisServer server;
  const auto store = make_redis_store(server.settings(), io);
  ASSERT_TRUE(connects(*store));
  ASSERT_TRUE(run(store->acquire(ada())));
  EXPECT_EQ(server.cli("SCRIPT FLUSH"), "OK\n");
  const auto session = run(store->acquire(ada()));
  ASSERT_TRUE(session) << session.error().text;
  EXPECT_EQ(session.value().generation, 1U);
  EXPECT_EQ(server.cli("SCRIPT FLUSH"), "OK\n");
  std::vector<Beat::Mark> marks(1'200, Beat::Mark{key_of("notebook/ada"), 1, Millis{0}, "request"});
  const auto beaten = run(store->beat(Beat{"g1", 0, Millis{1'000}, marks}));
  EXPECT_TRUE(beaten) << beaten.error().text;
}

TEST_F(RedisStoreTest, emptied_server_starts_over_and_drains_still_reach_gateways) {
  RedisServer server;
  const auto store = make_redis_store(server.settings(), io);
  ASSERT_TRUE(connects(*store));
  const auto seen = run(store->beat(Beat{"g1", 0, Millis{60'000}, {}}));
  ASSERT_TRUE(seen);
  EXPECT_EQ(server.cli("FLUSHALL"), "OK\n");
  Session pod;
  pod.key = key_of("notebook/ada");
  pod.generation = 5;
  pod.endpoint = {asio::ip::make_address("127.0.1.1"), 9000};
  pod.pod_uid = "uid-5";
  ASSERT_TRUE(run(store->adopt(pod)));
  ASSERT_TRUE(run(store->drain(pod.key, 5, EndCause::deleted)));
  // The gateway still names the epoch that it saw before; what drains now must be newer than that.
  const auto told = run(store->beat(Beat{"g1", seen.value().epoch, Millis{60'000}, {}}));
  ASSERT_TRUE(told);
  EXPECT_EQ(told.value().draining.size(), 1U);
  EXPECT_FALSE(run(store->begin_stop(pod.key, 5)));
}

TEST_F(RedisStoreTest, silent_server_is_a_timeout_in_bounded_time_and_the_store_recovers) {
  RedisServer server;
  RedisStoreSettings settings = server.settings();
  settings.timeout = Millis{200};
  const auto store = make_redis_store(settings, io);
  Recorder recorder;
  store->subscribe(&recorder);
  ASSERT_TRUE(connects(*store));
  const int gaps = recorder.gaps;
  server.freeze();
  const auto from = SteadyClock::now();
  const auto first = run(store->claim(ClaimRequest{"p", 20, Millis{1'000}}));
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, Errc::timeout) << first.error().text;
  const auto second = run(store->acquire(ada()));
  ASSERT_FALSE(second);
  EXPECT_LT(SteadyClock::now() - from, std::chrono::seconds(5));
  EXPECT_FALSE(store->connected());
  // The push connection has nothing to wait for; its PING notices.
  ASSERT_TRUE(until(io, [&] { return !store->connected(); }));
  server.thaw();
  ASSERT_TRUE(connects(*store));
  EXPECT_TRUE(until(io, [&] { return recorder.gaps > gaps; }));
  EXPECT_TRUE(run(store->acquire(ada())));
}

TEST_F(RedisStoreTest, idle_link_to_a_silent_server_is_noticed_without_any_call) {
  RedisServer server;
  RedisStoreSettings settings = server.settings();
  settings.timeout = Millis{150};
  const auto store = make_redis_store(settings, io);
  ASSERT_TRUE(connects(*store));
  server.freeze();
  EXPECT_TRUE(until(io, [&] { return !store->connected(); }));
  server.thaw();
  EXPECT_TRUE(connects(*store));
}

TEST_F(RedisStoreTest, tls_with_an_acl_user_that_may_touch_only_our_keys) {
  RedisServer server({.user = "gateway", .password = "s3cret", .acl_prefix = "alcove", .tls = true});
  const auto store = make_redis_store(server.settings(), io);
  Recorder recorder;
  store->subscribe(&recorder);
  ASSERT_TRUE(connects(*store));
  const auto session = run(store->acquire(ada()));
  ASSERT_TRUE(session) << session.error().text;
  ASSERT_TRUE(run(store->claim(ClaimRequest{"p", 20, Millis{1'000}})));
  EXPECT_TRUE(until(io, [&] { return recorder.story(key_of("notebook/ada")) == "pending 1, starting 1"; }));
  const auto page = run(store->list("", 10));
  ASSERT_TRUE(page);
  EXPECT_EQ(page.value().sessions.size(), 1U);
  const Result<BeatReply> beaten = run(store->beat(Beat{"g1", 0, Millis{1'000}, {}}));
  EXPECT_TRUE(beaten);

  RedisStoreSettings elsewhere = server.settings();
  elsewhere.prefix = "other";
  elsewhere.timeout = Millis{300};
  const auto outside = make_redis_store(elsewhere, io);
  const auto refused = run(outside->acquire(ada()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
}

TEST_F(RedisStoreTest, tls_server_with_an_unknown_certificate_is_refused) {
  RedisServer server({.tls = true});
  RedisServer other({.tls = true});
  RedisStoreSettings settings = server.settings();
  settings.ca_file = other.settings().ca_file;
  settings.timeout = Millis{500};
  const auto store = make_redis_store(settings, io);
  const auto answer = run(store->lookup(key_of("notebook/ada")));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::unavailable);
  EXPECT_NE(answer.error().text.find("TLS"), std::string::npos) << answer.error().text;

  settings.ca_file = "/nowhere/ca.pem";
  try {
    make_redis_store(settings, io);
    ADD_FAILURE() << "a CA file that is not there was accepted";
  } catch (const std::runtime_error& e) {
    EXPECT_NE(std::string(e.what()).find("/nowhere/ca.pem"), std::string::npos) << e.what();
  }
}

TEST_F(RedisStoreTest, malformed_push_is_a_gap_not_a_crash) {
  RedisServer server;
  const auto store = make_redis_store(server.settings(), io);
  Recorder recorder;
  store->subscribe(&recorder);
  ASSERT_TRUE(connects(*store));
  const int gaps = recorder.gaps;
  server.cli("PUBLISH {alcove}:transitions nonsense");
  EXPECT_TRUE(until(io, [&] { return recorder.gaps == gaps + 1; }));
  ASSERT_TRUE(run(store->acquire(ada())));
  EXPECT_TRUE(until(io, [&] { return recorder.story(key_of("notebook/ada")) == "pending 1"; }));
}

TEST_F(RedisStoreTest, record_that_somebody_spoilt_is_an_error_not_a_crash) {
  RedisServer server;
  const auto store = make_redis_store(server.settings(), io);
  ASSERT_TRUE(connects(*store));
  ASSERT_TRUE(run(store->acquire(ada())));
  server.cli("HSET {alcove}:s:notebook/ada state sleeping");
  const auto spoilt = run(store->lookup(key_of("notebook/ada")));
  ASSERT_FALSE(spoilt);
  EXPECT_EQ(spoilt.error().code, Errc::internal);
  EXPECT_NE(spoilt.error().text.find("sleeping"), std::string::npos) << spoilt.error().text;
  server.cli("SET {alcove}:s:notebook/bob text");
  EXPECT_FALSE(run(store->lookup(key_of("notebook/bob"))));
}

TEST_F(RedisStoreTest, absent_record_is_remembered_for_a_week) {
  RedisServer server;
  const auto store = make_redis_store(server.settings(), io);
  ASSERT_TRUE(connects(*store));
  ASSERT_TRUE(run(store->acquire(ada())));
  EXPECT_EQ(server.cli("TTL {alcove}:s:notebook/ada"), "-1\n");
  ASSERT_TRUE(run(store->drain(key_of("notebook/ada"), 1, EndCause::deleted)));
  const int ttl = std::stoi(server.cli("TTL {alcove}:s:notebook/ada"));
  EXPECT_GT(ttl, 6 * 24 * 3600);
  EXPECT_LE(ttl, 7 * 24 * 3600);
  ASSERT_TRUE(run(store->acquire(ada())));
  EXPECT_EQ(server.cli("TTL {alcove}:s:notebook/ada"), "-1\n");
}

TEST_F(RedisStoreTest, ended_sessions_leave_no_key_behind_but_their_record) {
  RedisServer server;
  const auto store = make_redis_store(server.settings(), io);
  ASSERT_TRUE(connects(*store));
  for (int i = 0; i < 20; ++i) {
    AcquireRequest request = ada();
    request.key = key_of("notebook/u" + std::to_string(i));
    ASSERT_TRUE(run(store->acquire(request)));
    const auto claimed = run(store->claim(ClaimRequest{"p", 20, Millis{1'000}}));
    ASSERT_TRUE(claimed && claimed.value());
    const Endpoint endpoint(asio::ip::make_address("127.0.1.1"), 9000);
    ASSERT_TRUE(run(store->publish_ready(request.key, 1, endpoint, "u")));
    ASSERT_TRUE(run(store->drain(request.key, 1, EndCause::lifetime)));
    ASSERT_TRUE(run(store->begin_stop(request.key, 1)));
    ASSERT_TRUE(run(store->gone(request.key, 1)));
  }
  std::string rest = server.cli("KEYS '*' | grep -v :s: | sort");
  EXPECT_EQ(rest, "{alcove}:epoch\n{alcove}:queued\n");
  EXPECT_EQ(server.cli("GET {alcove}:queued"), "0\n");
}

TEST_F(RedisStoreTest, close_ends_waiting_calls_and_lets_the_loop_run_out) {
  RedisServer server;
  RedisStoreSettings settings = server.settings();
  settings.timeout = Millis{60'000};
  server.kill();
  const auto store = make_redis_store(settings, io);
  std::optional<Result<Session>> answer;
  launch(io, store->acquire(ada()),
         [&](std::exception_ptr, Result<Session> result) { answer = std::move(result); });
  io.poll();
  store->close();
  EXPECT_EQ(run(store->lookup(key_of("notebook/ada"))).error().code, Errc::cancelled);
  io.restart();
  io.run_for(std::chrono::seconds(10));
  EXPECT_TRUE(io.stopped()) << "something keeps the loop busy";
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error().code, Errc::cancelled);
}

TEST_F(RedisStoreTest, store_destroyed_while_connected_lets_the_loop_run_out) {
  RedisServer server;
  auto store = make_redis_store(server.settings(), io);
  ASSERT_TRUE(connects(*store));
  store.reset();
  io.restart();
  io.run_for(std::chrono::seconds(10));
  EXPECT_TRUE(io.stopped());
}

}  // namespace
}  // namespace alcove::test
