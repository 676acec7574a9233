// The admin listener on a real socket, with the memory store and a log that the test writes.
#include "api/admin_server.hpp"

#include "api/client.hpp"
#include "store/memory_store.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace alcove {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class FakeLog final : public LogSource {
 public:
  void write(const std::string& text) {
    const std::lock_guard lock(mutex_);
    text_ += text;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  Awaitable<Result<LogPart>> read(SessionKey key, Generation, std::uint64_t offset, bool tail) override {
    if (key.text() != "demo/ada") co_return Error{Errc::not_found, "no log of " + key.text() + " is kept"};
    const std::lock_guard lock(mutex_);
    if (tail) offset = text_.size() > 4 ? text_.size() - 4 : 0;
    co_return LogPart{text_.substr(offset), text_.size(), ended_};
  }

 private:
  std::mutex mutex_;
  std::string text_;
  bool ended_ = false;
};

class AdminServerTest : public testing::Test {
 protected:
  void start(const std::string& token = "") {
    auto settings = std::make_shared<Settings>();
    settings->admin.endpoint.port(0);
    settings->admin.token = token;
    settings->apps.emplace_back().name = "demo";
    AdminServer::Parts parts;
    parts.settings = settings;
    parts.store = store_.get();
    parts.logs = &log_;
    parts.count_sessions = true;
    parts.checks.push_back({"gateway", [this]() -> std::optional<std::string> {
                              if (gateway_ready_) return std::nullopt;
                              return "no listener";
                            }});
    server_ = std::make_unique<AdminServer>(io_, std::move(parts));
    const auto started = server_->bind({});
    ASSERT_TRUE(started) << started.error().text;
    server_->start();
    token_ = token;
    thread_ = std::thread([this] { io_.run(); });
  }

  void TearDown() override {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] {
      server_->stop();
      store_->close();
    });
    thread_.join();
  }

  std::string address() const { return to_string(server_->endpoint()); }
  AdminClient client() const { return AdminClient(address(), token_); }

  AdminClient::Answer ask(std::string_view method, const std::string& target,
                          const std::string& body = "") const {
    const auto answer = client().ask(method, target, body, Millis{20'000});
    EXPECT_TRUE(answer) << answer.error().text;
    return answer ? *answer : AdminClient::Answer{};
  }
  json ask_json(std::string_view method, const std::string& target, const std::string& body = "") const {
    return json::parse(ask(method, target, body).body, nullptr, false);
  }

  // Sends bytes as they are; everything until the server closes.
  std::string raw(const std::string& bytes) const {
    asio::io_context io;
    Socket socket(io);
    socket.connect(server_->endpoint());
    asio::write(socket, asio::buffer(bytes));
    std::string out;
    error_code ec;
    asio::read(socket, asio::dynamic_buffer(out), ec);
    return out;
  }

  // Another role's hand on the same memory.
  Result<Session> publish_ready(const SessionKey& key) {
    const auto claimed = backend_->claim({"provisioner", 20, Millis{30'000}});
    if (!claimed) return Error{Errc::not_found, "nothing to claim"};
    return backend_->publish_ready(key, claimed->generation, *parse_endpoint("127.96.0.1:8080"), "uid-1");
  }

  std::shared_ptr<MemoryBackend> backend_ = std::make_shared<MemoryBackend>();
  asio::io_context io_{1};
  std::unique_ptr<Store> store_ = make_memory_store(backend_, io_.get_executor());
  FakeLog log_;
  std::atomic<bool> gateway_ready_{true};
  std::string token_;
  std::unique_ptr<AdminServer> server_;
  std::thread thread_;
};

TEST_F(AdminServerTest, tells_that_it_lives_and_what_is_not_ready) {
  start();
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
  EXPECT_EQ(ask("GET", "/readyz").status, 200);
  gateway_ready_ = false;
  const auto answer = ask("GET", "/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(json::parse(answer.body)["checks"]["gateway"], "no listener");
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
}

TEST_F(AdminServerTest, starts_a_session_and_waits_until_it_is_ready) {
  start();
  const json pending = ask_json("POST", "/api/v1/sessions/demo/ada");
  EXPECT_EQ(pending["state"], "pending");
  EXPECT_EQ(pending["queue"]["place"], 1);
  std::thread waiting([this] {
    const auto answer = ask("POST", "/api/v1/sessions/demo/ada?wait=20s", R"({"user": "ada"})");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(json::parse(answer.body)["state"], "ready");
  });
  const auto ready = publish_ready(SessionKey("demo", "ada"));
  EXPECT_TRUE(ready);
  waiting.join();
  const json shown = ask_json("GET", "/api/v1/sessions/demo/ada");
  EXPECT_EQ(shown["pod"]["endpoint"], "127.96.0.1:8080");
  EXPECT_THAT(shown["why"].get<std::string>(), HasSubstr("unless it is used again"));
}

TEST_F(AdminServerTest, listens_to_the_store_only_while_a_call_waits) {
  class CountingStore : public MemoryStore {
   public:
    using MemoryStore::MemoryStore;
    void subscribe(Subscriber* subscriber) override {
      ++subscribers;
      MemoryStore::subscribe(subscriber);
    }
    void unsubscribe(Subscriber* subscriber) override {
      --subscribers;
      MemoryStore::unsubscribe(subscriber);
    }
    std::atomic<int> subscribers{0};
  };
  auto counting = std::make_unique<CountingStore>(backend_, io_.get_executor());
  const std::atomic<int>& subscribers = counting->subscribers;
  store_ = std::move(counting);
  start();
  EXPECT_EQ(ask("GET", "/api/v1/sessions").status, 200);
  EXPECT_EQ(subscribers, 0);
  std::thread waiting([this] { EXPECT_EQ(ask("POST", "/api/v1/sessions/demo/ada?wait=5m").status, 200); });
  while (backend_->lookup(SessionKey("demo", "ada")).state != State::pending) std::this_thread::yield();
  EXPECT_EQ(subscribers, 1);
  EXPECT_TRUE(publish_ready(SessionKey("demo", "ada")));
  waiting.join();
  EXPECT_EQ(subscribers, 0);
}

TEST_F(AdminServerTest, a_step_while_it_asks_the_store_is_not_missed) {
  // Its answer `starting` is out of date when it comes: `ready` has been pushed before.
  class SlowStore : public MemoryStore {
   public:
    SlowStore(std::shared_ptr<MemoryBackend> backend, Executor executor, std::function<void()> step)
        : MemoryStore(std::move(backend), executor), executor_(executor), step_(std::move(step)) {}
    Awaitable<Result<Session>> lookup(SessionKey key) override {
      Result<Session> session = co_await MemoryStore::lookup(std::move(key));
      if (session && session->state == State::starting && step_) {
        std::exchange(step_, nullptr)();
        co_await asio::post(executor_, kTuple);
      }
      co_return session;
    }

   private:
    Executor executor_;
    std::function<void()> step_;
  };
  const SessionKey key("demo", "ada");
  store_ = std::make_unique<SlowStore>(backend_, io_.get_executor(), [this, key] {
    EXPECT_TRUE(backend_->publish_ready(key, 1, *parse_endpoint("127.96.0.1:8080"), "uid-1"));
  });
  start();
  std::thread waiting([this] {
    const auto answer = ask("POST", "/api/v1/sessions/demo/ada?wait=5m");
    ASSERT_EQ(answer.status, 200);
    EXPECT_EQ(json::parse(answer.body)["state"], "ready");
  });
  while (backend_->lookup(key).state != State::pending) std::this_thread::yield();
  EXPECT_TRUE(backend_->claim({"provisioner", 20, Millis{30'000}}));
  waiting.join();
}

TEST_F(AdminServerTest, starts_only_what_can_be) {
  start();
  EXPECT_THAT(ask("POST", "/api/v1/sessions/nothing/ada").body,
              HasSubstr("there is no app nothing; there are: demo"));
  const auto other = ask("POST", "/api/v1/sessions/demo/ada", R"({"user": "Ada Lovelace"})");
  EXPECT_EQ(other.status, 400);
  EXPECT_THAT(other.body, HasSubstr("demo/ada-lovelace"));
  EXPECT_EQ(ask("POST", "/api/v1/sessions/demo/ada", "{").status, 400);
  EXPECT_EQ(ask("POST", "/api/v1/sessions/demo/ada", R"({"user": 3})").status, 400);
  EXPECT_EQ(ask("POST", "/api/v1/sessions/demo/ada", R"({"user": "a\u0000b"})").status, 400);
  EXPECT_EQ(ask("POST", "/api/v1/sessions/demo/ada?wait=soon").status, 400);
  EXPECT_TRUE(ask_json("GET", "/api/v1/sessions")["sessions"].empty());
}

TEST_F(AdminServerTest, lists_all_sessions_over_many_pages_in_order) {
  start();
  for (int i = 0; i < 1'300; ++i) {
    const std::string name = "u" + std::to_string(i);
    ASSERT_TRUE(backend_->acquire({SessionKey("demo", name), "demo", name, {}}));
  }
  ASSERT_TRUE(backend_->acquire({SessionKey("other", "ada"), "other", "ada", {}}));
  const json all = ask_json("GET", "/api/v1/sessions");
  ASSERT_EQ(all["sessions"].size(), 1'301U);
  EXPECT_EQ(all["sessions"][0]["key"], "demo/u0");
  EXPECT_EQ(ask_json("GET", "/api/v1/sessions?scope=other")["sessions"].size(), 1U);
  EXPECT_THAT(ask("GET", "/metrics").body, HasSubstr("alcove_sessions{state=\"pending\"} 1301"));
}

TEST_F(AdminServerTest, stops_a_session_and_says_whether_it_is_gone) {
  start();
  EXPECT_EQ(ask("DELETE", "/api/v1/sessions/demo/ada").status, 404);
  const SessionKey key("demo", "ada");
  ASSERT_TRUE(backend_->acquire({key, "demo", "ada", {}}));
  const auto gone = ask("DELETE", "/api/v1/sessions/demo/ada");
  EXPECT_EQ(gone.status, 200) << "it was only queued: " << gone.body;

  ASSERT_TRUE(backend_->acquire({key, "demo", "ada", {}}));
  ASSERT_TRUE(publish_ready(key));
  const auto first = ask("DELETE", "/api/v1/sessions/demo/ada");
  EXPECT_EQ(first.status, 202);
  EXPECT_EQ(json::parse(first.body)["state"], "draining");
}

TEST_F(AdminServerTest, keeps_a_session_for_good_or_for_a_time) {
  start();
  const std::string path = "/api/v1/sessions/demo/ada";
  EXPECT_EQ(ask("PATCH", path, R"({"pinned": true})").status, 404);
  const SessionKey key("demo", "ada");
  ASSERT_TRUE(backend_->acquire({key, "demo", "ada", {}}));
  ASSERT_TRUE(publish_ready(key));
  const json pinned = json::parse(ask("PATCH", path, R"({"pinned": true, "busy_for": "1h"})").body);
  EXPECT_EQ(pinned["pinned"], true);
  EXPECT_EQ(pinned["goes_in_ms"], nullptr);
  EXPECT_GT(pinned["busy_until"], pinned["now"]);
  const json busy = json::parse(ask("PATCH", path, R"({"pinned": false})").body);
  EXPECT_THAT(busy["why"].get<std::string>(), HasSubstr("busy for"));
  for (const char* wrong : {"", "[]", "{}", R"({"pinned": "yes"})", R"({"busy_for": 30})",
                            R"({"busy_for": "soon"})", R"({"busy_for": "1000d"})", R"({"idle": true})"})
    EXPECT_EQ(ask("PATCH", path, wrong).status, 400) << wrong;
}

TEST_F(AdminServerTest, waits_for_the_end_of_a_session_that_it_stops) {
  start();
  const SessionKey key("demo", "ada");
  ASSERT_TRUE(backend_->acquire({key, "demo", "ada", {}}));
  ASSERT_TRUE(publish_ready(key));
  std::thread waiting([this] { EXPECT_EQ(ask("DELETE", "/api/v1/sessions/demo/ada?wait=20s").status, 200); });
  while (backend_->lookup(key).state != State::draining) std::this_thread::yield();
  const Session draining = backend_->lookup(key);
  EXPECT_EQ(draining.cause, EndCause::deleted);
  EXPECT_TRUE(backend_->begin_stop(key, draining.generation));
  EXPECT_TRUE(backend_->gone(key, draining.generation));
  waiting.join();
}

TEST_F(AdminServerTest, follows_a_log_until_its_end) {
  start();
  log_.write("one\n");
  std::string seen;
  const auto whole = client().follow("/api/v1/sessions/demo/ada/logs", [&](std::string_view text) {
    seen += text;
    return true;
  });
  ASSERT_TRUE(whole) << whole.error().text;
  EXPECT_EQ(seen, "one\n");

  seen.clear();
  const auto followed =
      client().follow("/api/v1/sessions/demo/ada/logs?follow=1&tail=1", [&](std::string_view text) {
        seen += text;
        if (seen == "one\n") log_.write("two\n");
        if (seen == "one\ntwo\n") log_.end();
        return true;
      });
  ASSERT_TRUE(followed) << followed.error().text;
  EXPECT_EQ(seen, "one\ntwo\n");
  EXPECT_EQ(ask("GET", "/api/v1/sessions/demo/grace/logs?follow=1").status, 404);
}

TEST_F(AdminServerTest, ends_while_a_log_is_followed_and_a_start_is_waited_for) {
  start();
  log_.write("one\n");
  std::atomic<int> begun{0};
  std::thread follower([&] {
    (void)client().follow("/api/v1/sessions/demo/ada/logs?follow=1", [&](std::string_view) {
      ++begun;
      return true;
    });
  });
  std::thread starter(
      [&] { (void)client().ask("POST", "/api/v1/sessions/demo/ada?wait=5m", "", Millis{60'000}); });
  while (begun == 0 || backend_->lookup(SessionKey("demo", "ada")).state != State::pending)
    std::this_thread::yield();
  TearDown();
  follower.join();
  starter.join();
}

TEST_F(AdminServerTest, with_a_token_answers_nobody_else_but_probes) {
  start("sesame");
  EXPECT_EQ(ask("GET", "/api/v1/sessions").status, 200);
  EXPECT_EQ(ask("GET", "/metrics").status, 200);
  token_ = "wrong";
  for (const char* target :
       {"/api/v1/sessions", "/metrics", "/api/v1/sessions/demo/ada/logs", "/nothing", "/api/v1/sessions/X"})
    EXPECT_EQ(ask("GET", target).status, 401) << target;
  EXPECT_EQ(ask("POST", "/api/v1/sessions/demo/ada").status, 401);
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
  EXPECT_EQ(ask("GET", "/readyz").status, 200);
}

TEST_F(AdminServerTest, refuses_what_is_not_for_it) {
  start();
  EXPECT_EQ(ask("GET", "/nothing").status, 404);
  EXPECT_EQ(ask("PUT", "/api/v1/sessions/demo/ada").status, 405);
  EXPECT_EQ(ask("DELETE", "/api/v1/sessions").status, 405);
  EXPECT_EQ(ask("POST", "/healthz").status, 405);
  EXPECT_EQ(ask("GET", "/api/v1/sessions/demo/Ada").status, 400);
  EXPECT_EQ(ask("GET", "/api/v1/sessions/demo/never").status, 404);
  EXPECT_THAT(raw("GET /api/v1/sessions HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
              HasSubstr(" 403 "));
  EXPECT_THAT(raw("GET / HTTP/1.0\r\n\r\n"), HasSubstr(" 403 "));
}

TEST_F(AdminServerTest, bounds_what_it_reads) {
  start();
  const std::string host = "Host: 127.0.0.1\r\n";
  EXPECT_THAT(raw("GET / HTTP/1.1\r\n" + host + "X: " + std::string(20'000, 'x') + "\r\n\r\n"),
              HasSubstr(" 431 "));
  EXPECT_THAT(raw("POST /api/v1/sessions/demo/ada HTTP/1.1\r\n" + host + "Content-Length: 70000\r\n\r\n"),
              HasSubstr(" 413 "));
  EXPECT_THAT(raw("nonsense\r\n\r\n"), HasSubstr(" 400 "));
  EXPECT_THAT(raw("GET /healthz HTTP/1.1\r\n" + host + "\r\nGET /healthz HTTP/1.1\r\n" + host +
                  "Connection: close\r\n\r\n"),
              testing::ContainsRegex("200(.|\n)*200"));
  const std::string head = raw("HEAD /healthz HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
  EXPECT_THAT(head, HasSubstr(" 200 "));
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
}

TEST_F(AdminServerTest, names_an_address_that_is_taken) {
  start();
  auto settings = std::make_shared<Settings>();
  settings->admin.endpoint = server_->endpoint();
  asio::io_context io;
  const auto store = make_memory_store(backend_, io.get_executor());
  AdminServer::Parts parts;
  parts.settings = settings;
  parts.store = store.get();
  AdminServer second(io, std::move(parts));
  const auto started = second.bind({});
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().text, HasSubstr(address()));
  EXPECT_THAT(started.error().text, HasSubstr("in use"));
}

TEST(AdminClientTest, says_what_to_do_when_nothing_answers) {
  asio::io_context io;
  Acceptor taken(io.get_executor(), Endpoint(asio::ip::address_v4::loopback(), 0));
  const std::string address = to_string(taken.local_endpoint());
  taken.close();
  const auto answer = AdminClient(address, "").ask("GET", "/healthz", "", Millis{1'000});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::unavailable);
  EXPECT_THAT(answer.error().text, HasSubstr(address));
  EXPECT_THAT(answer.error().text, HasSubstr("ALCOVE_ADMIN"));
}

}  // namespace
}  // namespace alcove
