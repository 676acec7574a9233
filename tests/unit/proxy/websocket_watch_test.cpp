// Data frames are told from control frames however the bytes are cut (RFC 6455 5.2).
#include "proxy/websocket_watch.hpp"

#include <gtest/gtest.h>

#include <string>

namespace alcove::proxy {
namespace {

std::string frame(unsigned char opcode, std::size_t length, bool masked) {
  std::string out(1, static_cast<char>(0x80U | opcode));
  const unsigned mask = masked ? 0x80U : 0U;
  if (length < 126) {
    out.push_back(static_cast<char>(mask | length));
  } else if (length < 65536) {
    out.push_back(static_cast<char>(mask | 126U));
    out.push_back(static_cast<char>(length >> 8));
    out.push_back(static_cast<char>(length));
  } else {
    out.push_back(static_cast<char>(mask | 127U));
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(length >> shift));
  }
  return out + std::string(masked ? 4 : 0, 'm') + std::string(length, 'p');
}

TEST(WebSocketWatch, tells_data_from_ping_and_pong_byte_by_byte) {
  const std::string control = frame(9, 5, true) + frame(10, 0, false) + frame(8, 2, true);
  WebSocketWatch watch;
  for (const char c : control) EXPECT_FALSE(watch.feed(std::string_view(&c, 1)));
  EXPECT_TRUE(watch.at_boundary());
  for (const std::size_t length : {std::size_t{0}, std::size_t{125}, std::size_t{126}, std::size_t{70'000}}) {
    bool data = false;
    for (const char c : frame(2, length, true)) data |= watch.feed(std::string_view(&c, 1));
    EXPECT_TRUE(data) << length;
    EXPECT_TRUE(watch.at_boundary()) << length;
  }
}

TEST(WebSocketWatch, knows_that_it_is_inside_a_frame) {
  WebSocketWatch watch;
  const std::string whole = frame(1, 10, false);
  EXPECT_TRUE(watch.feed(std::string_view(whole).substr(0, 7)));
  EXPECT_FALSE(watch.at_boundary());
  EXPECT_TRUE(watch.feed(std::string_view(whole).substr(7)));
  EXPECT_TRUE(watch.at_boundary());
}

TEST(WebSocketWatch, a_frame_of_impossible_length_has_no_end) {
  for (const std::uint64_t length : {UINT64_MAX, UINT64_MAX - 3, std::uint64_t{1} << 63}) {
    std::string head = "\x82\xff";
    for (int shift = 56; shift >= 0; shift -= 8) head.push_back(static_cast<char>(length >> shift));
    WebSocketWatch watch;
    EXPECT_TRUE(watch.feed(head));
    for (int i = 0; i < 20; ++i) {
      EXPECT_TRUE(watch.feed("x"));
      EXPECT_FALSE(watch.at_boundary()) << length << ", byte " << i;
    }
  }
}

TEST(WebSocketWatch, a_close_frame_says_its_code) {
  char buffer[4];
  EXPECT_EQ(close_frame(1012, buffer), std::string_view("\x88\x02\x03\xf4", 4));
}

}  // namespace
}  // namespace alcove::proxy
