#include "local/addresses.hpp"

#include "base/net.hpp"

#include <gtest/gtest.h>

#include <set>

namespace alcove {
namespace {

AddressPool pool(std::string_view network) {
  return std::move(AddressPool::parse(network).value());
}

TEST(AddressPool, gives_every_pod_another_address) {
  AddressPool addresses = pool("127.96.0.0/11");
  std::set<std::string> seen;
  for (int i = 0; i < 500; ++i) seen.insert(to_string(addresses.take(18'081).value()));
  EXPECT_EQ(seen.size(), 500U);
}

TEST(AddressPool, does_not_give_an_address_again_soon) {
  AddressPool addresses = pool("127.96.0.0/24");
  std::set<std::string> seen;
  for (int i = 0; i < 254; ++i) {
    const Endpoint endpoint = addresses.take(18'082).value();
    EXPECT_TRUE(seen.insert(to_string(endpoint)).second) << to_string(endpoint) << " came twice";
    addresses.give_back(endpoint);
  }
}

TEST(AddressPool, stays_in_its_block_and_wraps_around) {
  AddressPool addresses = pool("127.96.7.0/29");
  addresses.move_cursor(4);
  std::set<std::string> seen;
  for (int i = 0; i < 6; ++i) seen.insert(addresses.take(18'083).value().address().to_string());
  const std::set<std::string> all{"127.96.7.1", "127.96.7.2", "127.96.7.3",
                                  "127.96.7.4", "127.96.7.5", "127.96.7.6"};
  EXPECT_EQ(seen, all);
  const Result<Endpoint> none = addresses.take(18'083);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::failed);
  EXPECT_NE(none.error().text.find("all 6 addresses"), std::string::npos);
}

TEST(AddressPool, passes_over_an_address_on_which_somebody_listens) {
  AddressPool addresses = pool("127.96.8.0/30");
  asio::io_context context;
  Acceptor squatter(context.get_executor(), Endpoint(asio::ip::make_address("127.96.8.1"), 18'084));
  EXPECT_EQ(addresses.take(18'084).value().address().to_string(), "127.96.8.2");
}

TEST(AddressPool, says_so_when_a_listener_on_all_addresses_has_the_port) {
  AddressPool addresses = pool("127.96.0.0/11");
  asio::io_context context;
  Acceptor squatter(context.get_executor(), Endpoint(asio::ip::address_v4::any(), 0));
  const std::uint16_t port = squatter.local_endpoint().port();
  const Result<Endpoint> none = addresses.take(port);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().text.find("port " + std::to_string(port) + " is in use on every address"),
            std::string::npos);
}

TEST(AddressPool, takes_only_loopback_blocks) {
  for (const char* wrong : {"10.0.0.0/8", "127.0.0.0/31", "127.96.0.0", "nonsense", "::1/128", ""}) {
    const auto parsed = AddressPool::parse(wrong);
    ASSERT_FALSE(parsed) << wrong;
    EXPECT_EQ(parsed.error().code, Errc::invalid);
    EXPECT_NE(parsed.error().text.find("127.96.0.0/11"), std::string::npos)
        << "it does not say what would be right";
  }
}

}  // namespace
}  // namespace alcove
