#include "local/guard_protocol.hpp"

#include <gtest/gtest.h>

namespace alcove {
namespace {

TEST(GuardProtocol, message_comes_back_as_it_went) {
  GuardMessage message;
  message.word = GuardWord::started;
  message.id = 77;
  message.number = -5;
  message.second = 1LL << 40;
  message.texts = {"", "with\nlines", std::string("with\0zero", 9)};
  const auto back = decode(encode(message));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->word, message.word);
  EXPECT_EQ(back->id, message.id);
  EXPECT_EQ(back->number, message.number);
  EXPECT_EQ(back->second, message.second);
  EXPECT_EQ(back->texts, message.texts);
}

TEST(GuardProtocol, every_cut_and_every_addition_is_refused) {
  GuardMessage message;
  message.texts = {"uid", "directory"};
  const std::string packet = encode(message);
  for (std::size_t size = 0; size < packet.size(); ++size) EXPECT_FALSE(decode(packet.substr(0, size)));
  EXPECT_FALSE(decode(packet + "x"));
}

TEST(GuardProtocol, another_version_and_unknown_words_are_refused) {
  std::string packet = encode(GuardMessage{});
  packet[0] = 99;
  EXPECT_FALSE(decode(packet));
  packet = encode(GuardMessage{});
  packet[1] = 99;
  EXPECT_FALSE(decode(packet));
}

}  // namespace
}  // namespace alcove
