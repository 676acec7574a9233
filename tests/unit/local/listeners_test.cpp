#include "local/listeners.hpp"

#include "base/net.hpp"

#include <boost/asio/ip/v6_only.hpp>
#include <gtest/gtest.h>

namespace alcove {
namespace {

class ListenersTest : public testing::Test {
 protected:
  asio::io_context context{1};
  std::unique_ptr<Listeners> listeners = Listeners::open();

  static Endpoint at(const char* address, std::uint16_t port) {
    return {asio::ip::make_address(address), port};
  }
  void SetUp() override {
    if (!listeners) GTEST_SKIP() << "this kernel does not tell who listens (tcp_diag)";
  }
};

TEST_F(ListenersTest, finds_who_listens_and_nobody_once_it_has_closed) {
  Acceptor acceptor(context, at("127.96.0.1", 0));
  const Endpoint endpoint = acceptor.local_endpoint();
  EXPECT_TRUE(listeners->has(endpoint));
  EXPECT_FALSE(listeners->has(at("127.96.0.2", endpoint.port())));
  acceptor.close();
  EXPECT_FALSE(listeners->has(endpoint));
}

TEST_F(ListenersTest, finds_who_listens_on_all_addresses) {
  Acceptor v4(context, at("0.0.0.0", 0));
  EXPECT_TRUE(listeners->has(at("127.96.0.1", v4.local_endpoint().port())));
  Acceptor v6(context);
  error_code none;
  v6.open(asio::ip::tcp::v6(), none);
  if (none) GTEST_SKIP() << "no IPv6 here";
  v6.set_option(asio::ip::v6_only(false));
  v6.bind(at("::", 0));
  v6.listen();
  EXPECT_TRUE(listeners->has(at("127.96.0.1", v6.local_endpoint().port())));
}

TEST_F(ListenersTest, does_not_take_a_bound_socket_for_a_listener) {
  Acceptor acceptor(context);
  acceptor.open(asio::ip::tcp::v4());
  acceptor.bind(at("127.96.0.1", 0));
  EXPECT_FALSE(listeners->has(acceptor.local_endpoint()));
  acceptor.listen();
  EXPECT_TRUE(listeners->has(acceptor.local_endpoint()));
}

TEST_F(ListenersTest, does_not_take_a_connection_for_a_listener) {
  Acceptor acceptor(context, at("127.96.0.1", 0));
  Socket client(context);
  client.connect(acceptor.local_endpoint());
  const Socket server = acceptor.accept();
  EXPECT_FALSE(listeners->has(client.local_endpoint()));
  acceptor.close();
  EXPECT_FALSE(listeners->has(server.local_endpoint()));
}

TEST_F(ListenersTest, says_no_where_it_cannot_ask) {
  EXPECT_FALSE(listeners->has(at("::1", 80)));
}

}  // namespace
}  // namespace alcove
