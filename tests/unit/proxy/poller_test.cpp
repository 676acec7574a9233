// Edge-triggered readiness: what comes in any order of events, reads and waits is seen, once.
#include "proxy/polled_socket.hpp"
#include "tests/support/run_awaitable.hpp"

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>

namespace alcove::test {
namespace {

using proxy::PolledSocket;
using proxy::Poller;

class PollerTest : public ::testing::Test {
 protected:
  // A polled socket and the test's end of it.
  struct Pair {
    std::unique_ptr<PolledSocket> socket;
    Fd end;
  };
  Pair pair() {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) != 0) std::abort();
    return {std::make_unique<PolledSocket>(poller, Fd(fds[0])), Fd(fds[1])};
  }
  static void put(const Fd& end, const std::string& bytes) {
    ASSERT_EQ(::send(end.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // What comes until `count` bytes are there or it ends.
  static Awaitable<std::string> take(PolledSocket& socket, std::size_t count) {
    std::string all;
    std::array<char, 8> some;
    while (all.size() < count) {
      error_code ec;
      const std::size_t n = socket.try_read(some.data(), some.size(), ec);
      all.append(some.data(), n);
      if (ec == asio::error::would_block) ec = co_await socket.wait_readable();
      if (ec) co_return all + "|" + ec.message();
    }
    co_return all;
  }

  asio::io_context io{1};
  Poller poller{io};
};

TEST_F(PollerTest, bytes_are_seen_whether_they_come_before_or_after_the_wait) {
  Pair it = pair();
  put(it.end, "before");
  EXPECT_EQ(run(io, take(*it.socket, 6)), "before");
  asio::post(io, [&] { put(it.end, "after"); });
  EXPECT_EQ(run(io, take(*it.socket, 5)), "after");
  put(it.end, "more than one read takes");
  EXPECT_EQ(run(io, take(*it.socket, 24)), "more than one read takes");
}

TEST_F(PollerTest, an_end_that_comes_with_the_last_bytes_is_not_missed) {
  Pair it = pair();
  std::string got;
  launch(io, take(*it.socket, 100), [&](const std::exception_ptr&, std::string s) { got = std::move(s); });
  io.poll();  // it waits
  put(it.end, "last");
  it.end.reset();
  EXPECT_TRUE(run_until(io, [&] { return !got.empty(); }));
  EXPECT_EQ(got, "last|End of file");
}

TEST_F(PollerTest, cancel_wakes_who_waits_and_loses_no_bytes) {
  Pair it = pair();
  std::string got;
  launch(io, take(*it.socket, 4), [&](const std::exception_ptr&, std::string s) { got = std::move(s); });
  io.poll();
  it.socket->cancel();
  EXPECT_EQ(got, "") << "within the call";
  put(it.end, "late");
  EXPECT_TRUE(run_until(io, [&] { return !got.empty(); }));
  EXPECT_EQ(got, "|Operation canceled");
  EXPECT_EQ(run(io, take(*it.socket, 4)), "late");
}

TEST_F(PollerTest, the_io_context_runs_out_when_nobody_waits) {
  Pair it = pair();
  put(it.end, "x");
  launch(io, take(*it.socket, 2));
  io.poll();
  EXPECT_FALSE(io.stopped());
  put(it.end, "y");
  io.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(io.stopped()) << "the poller keeps it running";
  launch(io, take(*it.socket, 1));
  io.restart();
  io.poll();
  it.socket->cancel();
  io.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(io.stopped()) << "the poller keeps it running after a cancel";
}

TEST_F(PollerTest, a_writer_waits_until_the_other_side_has_read) {
  Pair it = pair();
  const std::string block(1 << 20, 'b');
  const auto fill = [](PolledSocket& socket, std::string_view left) -> Awaitable<bool> {
    while (!left.empty()) {
      error_code ec;
      left.remove_prefix(socket.try_write(left, ec));
      if (ec == asio::error::would_block) ec = co_await socket.wait_writable();
      if (ec) co_return false;
    }
    co_return true;
  };
  bool sent = false;
  launch(io, fill(*it.socket, block), [&](const std::exception_ptr&, bool all) { sent = all; });
  io.poll();
  EXPECT_FALSE(sent);
  std::size_t got = 0;
  std::array<char, 65536> some;
  EXPECT_TRUE(run_until(io, [&] {
    while (true) {
      const ssize_t n = ::recv(it.end.get(), some.data(), some.size(), 0);
      if (n <= 0) break;
      got += static_cast<std::size_t>(n);
    }
    return sent && got == block.size();
  }));
}

// Both events are in one batch: the second is for a socket that is gone when its turn comes.
TEST_F(PollerTest, an_event_of_a_socket_that_has_ended_meanwhile_is_void) {
  Pair first = pair();
  Pair second = pair();
  Pair third = pair();
  const auto end_both = [](PolledSocket& mine, Pair& a, Pair& b) -> Awaitable<void> {
    co_await mine.wait_readable();
    error_code ec;
    char byte = 0;
    mine.try_read(&byte, 1, ec);
    a.socket.reset();
    b.socket.reset();
  };
  const auto drain = [](PolledSocket& socket) -> Awaitable<void> {
    error_code ec;
    char byte = 0;
    socket.try_read(&byte, 1, ec);
    const error_code ended = co_await socket.wait_readable();
    EXPECT_EQ(ended, asio::error::operation_aborted);
  };
  char byte = 0;
  error_code ec;
  for (Pair* it : {&first, &second, &third}) it->socket->try_read(&byte, 1, ec);  // nothing is there
  launch(io, drain(*second.socket));
  launch(io, drain(*third.socket));
  launch(io, end_both(*first.socket, second, third));
  io.poll();
  for (Pair* it : {&first, &second, &third}) put(it->end, "x");
  io.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(io.stopped());
  EXPECT_EQ(second.socket, nullptr);
}

TEST_F(PollerTest, an_end_is_told_behind_unread_bytes_and_though_nobody_waits_for_them) {
  struct Listener final : proxy::EndListener {
    void on_end() override { ++told; }
    int told = 0;
  } listener;
  Pair it = pair();
  it.socket->set_end_listener(&listener);
  put(it.end, "unread");
  EXPECT_FALSE(it.socket->await_end());
  it.end.reset();
  io.run();
  EXPECT_EQ(listener.told, 1);
  EXPECT_TRUE(it.socket->await_end());
  EXPECT_EQ(run(io, take(*it.socket, 6)), "unread");
}

TEST_F(PollerTest, the_io_context_runs_out_when_an_end_is_awaited_no_more) {
  Pair one = pair();
  Pair other = pair();
  EXPECT_FALSE(one.socket->await_end());
  EXPECT_FALSE(other.socket->await_end());
  asio::post(io, [&] {
    one.socket->await_end_no_more();
    other.socket.reset();
  });
  io.run();
  EXPECT_TRUE(io.stopped());
}

TEST_F(PollerTest, who_always_has_more_to_read_lets_others_have_their_turn) {
  Pair it = pair();
  bool others = false;
  const auto read_on = [&]() -> Awaitable<int> {
    asio::post(io, [&others] { others = true; });
    int reads = 0;
    while (!others && reads < 10'000) {
      put(it.end, "x");
      char byte = 0;
      error_code ec;
      it.socket->try_read(&byte, 1, ec);
      ++reads;
      if (ec == asio::error::would_block) ec = co_await it.socket->wait_readable();
      if (ec) break;
    }
    co_return reads;
  };
  EXPECT_LT(run(io, read_on()), 100);
}

TEST_F(PollerTest, who_goes_on_without_reading_lets_others_have_their_turn_and_ends) {
  Pair it = pair();
  bool others = false;
  const auto go_on = [&]() -> Awaitable<int> {
    asio::post(io, [&others] { others = true; });
    int turns = 0;
    for (; !others && turns < 10'000; ++turns) {
      const error_code ec = co_await it.socket->take_turn();
      if (ec) break;
    }
    co_return turns;
  };
  EXPECT_LT(run(io, go_on()), 100);
  io.restart();
  io.run();
  EXPECT_TRUE(io.stopped()) << "nothing is left to wait for";
}

TEST_F(PollerTest, who_waits_for_a_turn_can_be_cancelled_or_closed) {
  Pair one = pair();
  Pair other = pair();
  const auto until_ended = [this](PolledSocket& socket, auto end) -> Awaitable<error_code> {
    asio::post(io, end);
    for (int turns = 0; turns < 10'000; ++turns) {
      const error_code ec = co_await socket.take_turn();
      if (ec) co_return ec;
    }
    co_return error_code{};
  };
  EXPECT_EQ(run(io, until_ended(*one.socket, [&] { one.socket->cancel(); })), asio::error::operation_aborted);
  EXPECT_EQ(run(io, until_ended(*other.socket, [&] { other.socket->close(); })),
            asio::error::operation_aborted);
}

TEST_F(PollerTest, is_quiet_tells_idle_from_spoken_to_and_ended) {
  Pair it = pair();
  EXPECT_TRUE(it.socket->is_quiet(true));
  put(it.end, "x");
  EXPECT_FALSE(it.socket->is_quiet(false)) << "nobody waits, so that no event would be read";
  Pair idle = pair();
  EXPECT_TRUE(idle.socket->is_quiet(true));
  EXPECT_FALSE(it.socket->await_end());
  put(idle.end, "x");
  EXPECT_TRUE(idle.socket->is_quiet(false)) << "its event has not been read yet";
  EXPECT_FALSE(idle.socket->is_quiet(true));
  Pair ended = pair();
  ended.end.reset();
  EXPECT_FALSE(ended.socket->is_quiet(true));
}

TEST_F(PollerTest, connects_or_says_why_not) {
  asio::ip::tcp::acceptor acceptor(io, Endpoint(asio::ip::address_v4::loopback(), 0));
  const Endpoint open = acceptor.local_endpoint();
  PolledSocket socket(poller);
  EXPECT_EQ(run(io, socket.connect(open)), error_code{});
  acceptor.close();
  PolledSocket refused(poller);
  EXPECT_EQ(run(io, refused.connect(open)), asio::error::connection_refused);
}

}  // namespace
}  // namespace alcove::test
