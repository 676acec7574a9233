// WebSocket against a server of Beast's that does what a test says: time, addresses, pings, and what is too
// long. TLS, and what the Kubernetes API says, are in pod_exec_test.cpp.
#include "k8s/web_socket.hpp"

#include "tests/support/run_awaitable.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace {

// Names as a test wants them: `slow.test` is found when it is let go, `two.test` has two addresses.
struct Names {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
  std::size_t asked = 0;

  void hold(bool whether) {
    const std::lock_guard lock(mutex);
    held = whether;
    changed.notify_all();
  }
};

Names& names() {
  static Names one;
  return one;
}

}  // namespace

// In the place of the system's, which it asks.
extern "C" int getaddrinfo(const char* host, const char* port, const addrinfo* hints, addrinfo** found) {
  static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  const std::string_view name = host == nullptr ? "" : host;
  {
    std::unique_lock lock(names().mutex);
    ++names().asked;
    if (name == "slow.test") names().changed.wait(lock, [] { return !names().held; });
  }
  if (name == "slow.test") return real("127.0.0.1", port, hints, found);
  if (name != "two.test") return real(host, port, hints, found);
  const int failed = real("127.0.0.2", port, hints, found);
  return failed != 0 ? failed : real("127.0.0.1", port, hints, &(*found)->ai_next);
}

namespace alcove::k8s {
namespace {

namespace websocket = boost::beast::websocket;
using ServerStream = websocket::stream<tcp::socket>;

// One connection after the other, on a thread of its own.
class Server {
 public:
  explicit Server(std::function<void(ServerStream&)> then) : then_(std::move(then)) {
    thread_ = std::thread([this] { run(); });
  }
  ~Server() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      if (descriptor_ >= 0) ::shutdown(descriptor_, SHUT_RDWR);
    }
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
  }
  tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }
  int answers() {
    const std::lock_guard lock(mutex_);
    return answers_;
  }
  // Gives it a moment to send more answers than these.
  void wait_for_more_than(int answers) {
    std::unique_lock lock(mutex_);
    answered_.wait_for(lock, Millis{20}, [&] { return answers_ > answers; });
  }

 private:
  void run() {
    for (;;) {
      error_code ec;
      tcp::socket socket = acceptor_.accept(ec);
      {
        const std::lock_guard lock(mutex_);
        if (ec || ending_) return;
        descriptor_ = socket.native_handle();
      }
      ServerStream stream(std::move(socket));
      stream.binary(true);
      stream.accept(ec);
      std::unique_lock lock(mutex_);
      if (!ec) ++answers_;
      answered_.notify_all();
      lock.unlock();
      if (!ec) then_(stream);
      lock.lock();
      descriptor_ = -1;
    }
  }

  std::function<void(ServerStream&)> then_;
  asio::io_context io_;
  tcp::acceptor acceptor_{io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::mutex mutex_;
  std::condition_variable answered_;
  int answers_ = 0;
  int descriptor_ = -1;
  bool ending_ = false;
  std::thread thread_;
};

void listen_to(ServerStream& stream) {
  boost::beast::flat_buffer buffer;
  for (error_code ec; !ec; buffer.clear()) stream.read(buffer, ec);
}

class WebSocketTest : public testing::Test {
 protected:
  std::shared_ptr<WebSocket> make(const Server& server, const std::string& host = "127.0.0.1",
                                  Millis timeout = Millis{10'000}, Millis ping_each = WebSocket::kPingEach) {
    HttpOrder order;
    order.url = fmt::format("http://{}:{}/", host, server.endpoint().port());
    order.timeout = timeout;
    return make_web_socket(context.get_executor(), HttpWay{}, order, "a, b", ping_each).value();
  }
  Result<HttpAnswer> open(const std::shared_ptr<WebSocket>& socket) {
    return test::run(context, socket->open()).value();
  }
  // Lets time pass for the io_context.
  void pass(Millis time) {
    Timer timer(context.get_executor(), time);
    bool over = false;
    timer.async_wait([&](error_code) { over = true; });
    ASSERT_TRUE(test::run_until(context, [&] { return over; }));
  }

  asio::io_context context{1};
};

TEST_F(WebSocketTest, name_is_looked_up_and_an_address_is_not) {
  Server server(listen_to);
  const std::size_t before = names().asked;
  const auto by_address = open(make(server));
  EXPECT_TRUE(by_address) << by_address.error().text;
  EXPECT_EQ(names().asked, before);
  const auto by_name = open(make(server, "slow.test"));  // not held up here
  EXPECT_TRUE(by_name) << by_name.error().text;
  EXPECT_GT(names().asked, before);
}

TEST_F(WebSocketTest, look_up_that_takes_long_holds_up_nobody) {
  Server server(listen_to);
  names().hold(true);
  const auto late = open(make(server, "slow.test", Millis{100}));
  EXPECT_EQ(late.error().code, Errc::timeout);

  const auto socket = make(server, "slow.test");
  std::optional<Result<HttpAnswer>> answer;
  launch(context, socket->open(),
         [&](const std::exception_ptr&, Result<HttpAnswer> its) { answer.emplace(std::move(its)); });
  context.restart();
  context.poll();
  socket->cancel();
  EXPECT_TRUE(test::run_until(context, [&] { return answer.has_value(); }));
  names().hold(false);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error().code, Errc::cancelled);

  const auto found = open(make(server, "slow.test"));
  EXPECT_TRUE(found) << found.error().text;
}

TEST_F(WebSocketTest, address_that_does_not_answer_leaves_time_for_the_next) {
  Server server(listen_to);
  // Its queue is full: it does not answer.
  const tcp::endpoint deaf(asio::ip::make_address("127.0.0.2"), server.endpoint().port());
  tcp::acceptor acceptor(context);
  acceptor.open(tcp::v4());
  acceptor.bind(deaf);
  acceptor.listen(0);
  std::vector<tcp::socket> waiting;
  for (int i = 0; i < 3; ++i) {
    tcp::socket& one = waiting.emplace_back(context, tcp::v4());
    one.non_blocking(true);  // Asio's own connect() waits even so
    ::connect(one.native_handle(), deaf.data(), static_cast<socklen_t>(deaf.size()));
  }
  const auto opened = open(make(server, "two.test", Millis{4'000}));
  EXPECT_TRUE(opened) << opened.error().text;
}

// The 101 may be there, and not looked at yet, when it is given up.
TEST_F(WebSocketTest, what_is_cancelled_at_any_step_is_not_open) {
  Server server(listen_to);
  bool opened = false;
  for (int steps = 1; !opened; ++steps) {
    ASSERT_LT(steps, 100);
    const int before = server.answers();
    const auto socket = make(server);
    std::optional<Result<HttpAnswer>> answer;
    launch(context, socket->open(),
           [&](const std::exception_ptr&, Result<HttpAnswer> its) { answer.emplace(std::move(its)); });
    context.restart();
    for (int i = 0; i < steps && !answer; ++i) {
      context.run_one_for(Millis{5'000});
      server.wait_for_more_than(before);
    }
    opened = answer.has_value();
    socket->cancel();
    ASSERT_TRUE(test::run_until(context, [&] { return answer.has_value(); }));
    if (opened)
      EXPECT_TRUE(*answer) << answer->error().text;
    else
      EXPECT_EQ(answer->error().code, Errc::cancelled) << "after " << steps << " steps";
  }
}

TEST_F(WebSocketTest, pings_while_somebody_reads_and_only_then) {
  std::atomic<int> pings = 0;
  Server server([&](ServerStream& stream) {
    stream.control_callback([&](websocket::frame_type kind, boost::beast::string_view) {
      if (kind == websocket::frame_type::ping) ++pings;
    });
    listen_to(stream);
  });
  const auto socket = make(server, "127.0.0.1", Millis{10'000}, Millis{20});
  ASSERT_TRUE(open(socket));
  pass(Millis{200});
  EXPECT_EQ(pings, 0);
  std::optional<Result<std::string>> read;
  launch(context, socket->read(),
         [&](const std::exception_ptr&, Result<std::string> its) { read.emplace(std::move(its)); });
  EXPECT_TRUE(test::run_until(context, [&] { return pings >= 3; }));
  EXPECT_FALSE(read);
  socket->cancel();
  ASSERT_TRUE(test::run_until(context, [&] { return read.has_value(); }));
  EXPECT_EQ(read->error().code, Errc::cancelled);
}

TEST_F(WebSocketTest, message_has_a_limit) {
  Server server([](ServerStream& stream) {
    error_code ec;
    stream.write(asio::buffer(std::string(WebSocket::kMostMessage, 'a')), ec);
    stream.write(asio::buffer(std::string(WebSocket::kMostMessage + 1, 'b')), ec);
    listen_to(stream);
  });
  const auto socket = make(server);
  ASSERT_TRUE(open(socket));
  const auto longest = test::run(context, socket->read()).value();
  ASSERT_TRUE(longest) << longest.error().text;
  EXPECT_EQ(longest->size(), WebSocket::kMostMessage);
  const auto too_long = test::run(context, socket->read()).value();
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, Errc::limit);
}

// Milliseconds of TCP_USER_TIMEOUT on this process's connection to there.
int most_silence_of_connection_to(const tcp::endpoint& there) {
  for (int fd = 0; fd < 4096; ++fd) {
    tcp::endpoint peer;
    socklen_t size = peer.capacity();
    if (::getpeername(fd, peer.data(), &size) != 0 || size > peer.capacity() || peer != there) continue;
    int value = -1;
    size = sizeof value;
    ::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size);
    return value;
  }
  return -1;
}

TEST_F(WebSocketTest, peer_that_is_alive_and_takes_nothing_has_five_minutes) {
  Server server(listen_to);
  const auto socket = make(server);
  ASSERT_TRUE(open(socket));
  EXPECT_EQ(most_silence_of_connection_to(server.endpoint()), 300'000);
}

TEST_F(WebSocketTest, port_that_is_none_is_said_as_such) {
  for (const char* url : {"http://127.0.0.1:/", "http://127.0.0.1:x/", "http://127.0.0.1:70000/"}) {
    HttpOrder order;
    order.url = url;
    const auto made = make_web_socket(context.get_executor(), HttpWay{}, order, "a");
    ASSERT_FALSE(made) << url;
    EXPECT_EQ(made.error().code, Errc::invalid);
  }
}

}  // namespace
}  // namespace alcove::k8s
