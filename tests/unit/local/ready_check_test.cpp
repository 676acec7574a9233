#include "local/ready_check.hpp"

#include "tests/support/run_awaitable.hpp"

#include <boost/asio/write.hpp>

namespace alcove {
namespace {

// Answers every connection with `answer`; an empty one is never sent.
Awaitable<void> serve(Acceptor& acceptor, std::string answer) {
  std::vector<Socket> silent;
  for (;;) {
    auto [ec, socket] = co_await acceptor.async_accept(kTuple);
    if (ec) co_return;
    if (answer.empty()) {
      silent.push_back(std::move(socket));
      continue;
    }
    std::array<char, 512> request;
    auto [read_ec, n] = co_await socket.async_read_some(asio::buffer(request), kTuple);
    if (read_ec) continue;
    auto [write_ec, m] = co_await asio::async_write(socket, asio::buffer(answer), kTuple);
    if (write_ec) continue;
  }
}

class ReadyCheckTest : public testing::Test {
 protected:
  asio::io_context context{1};
  Acceptor acceptor{context.get_executor(), Endpoint(asio::ip::address_v4::loopback(), 0)};
  const Endpoint endpoint = acceptor.local_endpoint();
  static constexpr Millis kLong{60'000};

  void answer(std::string text) { launch(context.get_executor(), serve(acceptor, std::move(text))); }
  Result<void> check(std::string path, Millis most = Millis{300}) {
    const auto ready = std::make_shared<ReadyCheck>(context.get_executor(), endpoint, std::move(path));
    return test::run(context, ReadyCheck::run(ready, SteadyClock::now(), most)).value();
  }
  Result<void> check(ReadyCheck::Kernel kernel, std::string path, SteadyTime begun = SteadyClock::now(),
                     Millis most = kLong) {
    const auto ready =
        std::make_shared<ReadyCheck>(context.get_executor(), endpoint, std::move(path), std::move(kernel));
    return test::run(context, ReadyCheck::run(ready, begun, most)).value();
  }
  void TearDown() override { acceptor.close(); }
};

TEST_F(ReadyCheckTest, pod_that_accepts_is_ready_when_no_path_is_given) {
  EXPECT_TRUE(check(""));
}

TEST_F(ReadyCheckTest, answer_below_500_is_ready) {
  answer("HTTP/1.1 404 Not Found\r\n\r\n");
  EXPECT_TRUE(check("/health"));
}

TEST_F(ReadyCheckTest, answer_of_500_or_more_is_not_ready_and_named) {
  answer("HTTP/1.1 503 Service Unavailable\r\n\r\n");
  const Result<void> result = check("/health");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::timeout);
  EXPECT_NE(result.error().text.find("GET /health was answered with 503"), std::string::npos)
      << result.error().text;
}

TEST_F(ReadyCheckTest, pod_that_speaks_something_else_is_not_ready) {
  answer("SSH-2.0-OpenSSH_9.2\r\n");
  const Result<void> result = check("/");
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().text.find("not in HTTP"), std::string::npos);
}

TEST_F(ReadyCheckTest, pod_that_accepts_and_says_nothing_does_not_hold_the_check_beyond_its_time) {
  answer("");
  const SteadyTime begun = SteadyClock::now();
  EXPECT_FALSE(check("/"));
  EXPECT_LT(SteadyClock::now() - begun, Millis{3'000});
}

TEST_F(ReadyCheckTest, nobody_listening_is_a_timeout_that_says_so) {
  acceptor.close();
  const auto ready = std::make_shared<ReadyCheck>(context.get_executor(), endpoint, "");
  const Result<void> result =
      test::run(context, ReadyCheck::run(ready, SteadyClock::now(), Millis{200})).value();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().text.find("refused"), std::string::npos) << result.error().text;
}

// However long the start had to wait for its turn: what counts is when the kernel was asked first.
TEST_F(ReadyCheckTest, pod_that_listens_is_ready_without_a_connection_where_the_kernel_tells) {
  int asked = 0;
  const ReadyCheck::Kernel kernel{[&](const Endpoint&) { return ++asked == 3; }, kLong};
  EXPECT_TRUE(check(kernel, "", SteadyClock::now() - kLong, 3 * kLong));
  EXPECT_EQ(asked, 3);
  acceptor.non_blocking(true);
  error_code nobody;
  const Socket connection = acceptor.accept(nobody);
  EXPECT_EQ(nobody, asio::error::would_block);
}

TEST_F(ReadyCheckTest, ready_path_is_asked_as_soon_as_the_kernel_tells_of_a_listener) {
  answer("HTTP/1.1 200 OK\r\n\r\n");
  int asked = 0;
  EXPECT_TRUE(check({[&](const Endpoint&) { return ++asked == 3; }, kLong}, "/health"));
  EXPECT_EQ(asked, 3);
}

// As behind a rule of the firewall that sends connections elsewhere.
TEST_F(ReadyCheckTest, pod_of_which_the_kernel_does_not_know_is_found_by_a_connection) {
  int asked = 0;
  const auto no = [&](const Endpoint&) {
    ++asked;
    return false;
  };
  EXPECT_TRUE(check({no, Millis{20}}, ""));
  EXPECT_GT(asked, 1) << "a no is believed at first";
  EXPECT_TRUE(check({no, kLong}, "", SteadyClock::now(), Millis{2'000})) << "but not to the end";
}

TEST_F(ReadyCheckTest, nobody_listening_is_said_by_the_kernel_too) {
  acceptor.close();
  const Result<void> result =
      check({[](const Endpoint&) { return false; }, kLong}, "", SteadyClock::now(), Millis{5});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().text.find("nobody listens"), std::string::npos) << result.error().text;
}

TEST_F(ReadyCheckTest, cancel_ends_it_at_once_in_whatever_step) {
  answer("");
  for (const char* path : {"", "/"}) {
    const Endpoint nobody(asio::ip::make_address("127.96.0.9"), 1);
    const auto ready =
        std::make_shared<ReadyCheck>(context.get_executor(), *path == '\0' ? nobody : endpoint, path);
    bool done = false;
    launch(context.get_executor(), ReadyCheck::run(ready, SteadyClock::now(), Millis{60'000}),
           [&](const std::exception_ptr&, const Result<void>& result) {
             done = true;
             EXPECT_EQ(result.error().code, Errc::cancelled);
           });
    const SteadyTime begun = SteadyClock::now();
    test::run_until(context, [&] { return SteadyClock::now() - begun > Millis{30}; });
    ready->cancel();
    EXPECT_TRUE(test::run_until(
        context, [&] { return done; }, Millis{1'000}));
  }
}

}  // namespace
}  // namespace alcove
