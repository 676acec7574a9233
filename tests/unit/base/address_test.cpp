#include "base/cidr.hpp"
#include "base/endpoint.hpp"

#include <gtest/gtest.h>

namespace alcove {
namespace {

using boost::asio::ip::make_address;
using namespace std::string_literals;

bool in(std::string_view block, const char* address) {
  return Cidr::parse(block).value().contains(make_address(address));
}

TEST(cidr, contains_the_addresses_of_its_block) {
  EXPECT_TRUE(in("10.0.0.0/8", "10.255.255.255"));
  EXPECT_FALSE(in("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(in("127.96.0.0/11", "127.127.255.255"));
  EXPECT_FALSE(in("127.96.0.0/11", "127.128.0.0"));
  EXPECT_FALSE(in("127.96.0.0/11", "127.95.255.255"));
  EXPECT_TRUE(in("192.168.1.7", "192.168.1.7"));
  EXPECT_FALSE(in("192.168.1.7", "192.168.1.6"));
  EXPECT_TRUE(in("0.0.0.0/0", "203.0.113.9"));
  EXPECT_TRUE(in("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(in("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(in("::1", "::1"));
  EXPECT_FALSE(in("0.0.0.0/0", "::1"));
}

TEST(cidr, sees_through_ipv4_mapped_addresses) {
  EXPECT_TRUE(in("127.0.0.0/8", "::ffff:127.0.0.1"));
  EXPECT_TRUE(in("::ffff:10.0.0.0/104", "10.1.2.3"));
  EXPECT_FALSE(in("10.0.0.0/8", "::ffff:11.0.0.1"));
}

TEST(cidr, forgets_the_bits_after_its_length) {
  EXPECT_EQ(Cidr::parse("10.1.2.3/8").value().text(), "10.0.0.0/8");
  EXPECT_EQ(Cidr::parse("10.1.2.3").value().text(), "10.1.2.3/32");
  EXPECT_EQ(Cidr::parse("2001:DB8:ffff::1/32").value().text(), "2001:db8::/32");
  EXPECT_EQ(Cidr::parse("::/0").value().text(), "::/0");
}

TEST(cidr, refuses_with_what_was_expected) {
  for (const std::string& text :
       {""s, "/"s, "/8"s, "10.0.0.0/"s, "10.0.0.0/33"s, "::/129"s, "10.0.0.0/-1"s, "10.0.0.0/-0"s,
        "10.0.0.0/+8"s, "10.0.0.0/8 "s, "10.0.0.0/8/8"s, "10.0.0/8"s, "010.0.0.1x"s, "localhost"s,
        "10.0.0.0/999999999999"s, "127.0.0.1\0.evil/8"s, "10.0.0.0/8\0"s, "fe80::1%lo"s}) {
    const auto block = Cidr::parse(text);
    ASSERT_FALSE(block) << text;
    EXPECT_EQ(block.error().code, Errc::invalid);
    EXPECT_NE(block.error().text.find("10.0.0.0/8"), std::string::npos);
  }
}

TEST(cidr, a_list_contains_what_one_of_it_contains) {
  const std::vector<Cidr> blocks{Cidr::parse("10.0.0.0/8").value(), Cidr::parse("::1").value()};
  EXPECT_TRUE(contains(blocks, make_address("::1")));
  EXPECT_TRUE(contains(blocks, make_address("10.0.0.1")));
  EXPECT_FALSE(contains(blocks, make_address("9.0.0.1")));
  EXPECT_FALSE(contains({}, make_address("::1")));
}

TEST(endpoint, parses_and_prints_the_same) {
  for (const std::string text : {"127.0.1.1:9000", "[::1]:9000", "0.0.0.0:0", "[2001:db8::1]:65535"})
    EXPECT_EQ(to_string(parse_endpoint(text).value()), text);
}

TEST(endpoint, packed_and_unpacked_is_the_same) {
  for (const std::string text : {"127.0.1.1:9000", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:9000",
                                 "[2001:db8::1]:65535", "[fe80::1%7]:80"}) {
    const Endpoint endpoint = parse_endpoint(text).value();
    EXPECT_EQ(PackedEndpoint(endpoint).unpacked(), endpoint) << text;
  }
  const auto packed = [](const std::string& text) { return PackedEndpoint(parse_endpoint(text).value()); };
  EXPECT_EQ(packed("127.0.1.1:9000"), packed("127.0.1.1:9000"));
  EXPECT_NE(packed("127.0.1.1:9000"), packed("127.0.1.1:9001"));
  EXPECT_NE(packed("127.0.1.1:9000"), packed("[::1]:9000"));
}

TEST(endpoint, refuses_with_what_was_expected) {
  for (const std::string& text : {""s,
                                  ":"s,
                                  ":80"s,
                                  "127.0.0.1"s,
                                  "127.0.0.1:"s,
                                  "127.0.0.1:x"s,
                                  "127.0.0.1:65536"s,
                                  "127.0.0.1:-1"s,
                                  "127.0.0.1:+1"s,
                                  "127.0.0.1:80 "s,
                                  " 127.0.0.1:80"s,
                                  "::1:80"s,
                                  "[::1]"s,
                                  "[::1"s,
                                  "[127.0.0.1]:80"s,
                                  "[]:80"s,
                                  "localhost:80"s,
                                  "127.0.0.1\0evil:80"s,
                                  "[::1\0]:80"s,
                                  "127.1:80"s,
                                  "127.0.0.1:99999999999"s}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_EQ(endpoint.error().code, Errc::invalid);
    EXPECT_NE(endpoint.error().text.find("ADDRESS:PORT"), std::string::npos);
  }
}

TEST(endpoint, a_listener_may_leave_the_address_out) {
  EXPECT_EQ(to_string(parse_listen_endpoint(":8080").value()), "[::]:8080");
  EXPECT_EQ(to_string(parse_listen_endpoint("127.0.0.1:8080").value()), "127.0.0.1:8080");
  EXPECT_FALSE(parse_listen_endpoint(""));
  EXPECT_FALSE(parse_listen_endpoint(":"));
  EXPECT_FALSE(parse_listen_endpoint(":x"));
}

}  // namespace
}  // namespace alcove
