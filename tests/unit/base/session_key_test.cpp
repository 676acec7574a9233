#include "base/session_key.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace alcove {
namespace {

TEST(session_key, parses_scope_and_name) {
  const auto key = SessionKey::parse("team-red/ada-dev");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->scope(), "team-red");
  EXPECT_EQ(key->name(), "ada-dev");
  EXPECT_EQ(key->text(), "team-red/ada-dev");
  EXPECT_EQ(*key, SessionKey("team-red", "ada-dev"));
}

TEST(session_key, refuses_whatever_is_not_two_labels) {
  const std::string long_label(64, 'a');
  for (const std::string& text :
       {std::string(), std::string("/"), std::string("a"), std::string("a/"), std::string("/a"),
        std::string("a/b/c"), std::string("A/b"), std::string("a/b--c"), std::string("-a/b"),
        std::string("a/b-"), std::string("a b/c"), std::string("a/.."), std::string("a/b\0", 4),
        "a/" + long_label, long_label + "/a", std::string("ä/b")}) {
    const auto key = SessionKey::parse(text);
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().code, Errc::invalid);
    EXPECT_NE(key.error().text.find("SCOPE/NAME"), std::string::npos);
  }
}

TEST(session_key, orders_and_hashes_by_its_text) {
  EXPECT_LT(SessionKey("a", "b"), SessionKey("a", "c"));
  EXPECT_EQ(std::hash<SessionKey>{}(SessionKey("a", "b")),
            std::hash<SessionKey>{}(*SessionKey::parse("a/b")));
  EXPECT_TRUE(SessionKey().empty());
}

TEST(session_name, keeps_a_plain_label) {
  for (const std::string user : {"ada", "a", "0", "grace-hopper", "user7"})
    EXPECT_EQ(session_name(user).value(), user);
  EXPECT_EQ(session_name(std::string(40, 'a')).value(), std::string(40, 'a'));
}

TEST(session_name, makes_a_label_of_every_name_that_it_takes) {
  for (const std::string user : {"Ada",
                                 "ada@example.com",
                                 "ADA",
                                 "a--b",
                                 "-a",
                                 "a-",
                                 "../../etc/passwd",
                                 "a/b",
                                 "..",
                                 ".",
                                 "/",
                                 "--",
                                 " ",
                                 "~",
                                 "José",
                                 "josé",
                                 "Ωμέγα",
                                 "张伟",
                                 "👩‍💻",
                                 "\xC2\xA0",
                                 "a%00b",
                                 "a:b",
                                 "{a}",
                                 "a*",
                                 "a\\b",
                                 "ada lovelace"}) {
    const auto name = session_name(user);
    ASSERT_TRUE(name) << user << ": " << name.error().text;
    EXPECT_TRUE(is_label(*name)) << user << " became " << *name;
    EXPECT_NE(*name, user);
  }
  EXPECT_TRUE(is_label(session_name(std::string(kMaxUserBytes, 'x')).value()));
  EXPECT_TRUE(is_label(session_name(std::string(kMaxUserBytes, '-')).value()));
}

TEST(session_name, keeps_what_can_be_read_of_an_odd_name) {
  EXPECT_TRUE(session_name("Ada.Lovelace@Example.com").value().starts_with("ada-lovelace-example-com-h"));
  EXPECT_TRUE(session_name("张伟").value().starts_with("user-h"));
}

TEST(session_name, refuses_with_a_reason_what_cannot_be_a_name) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "empty"},
      {std::string(kMaxUserBytes + 1, 'a'), "257 bytes"},
      {std::string(10'240, 'a'), "10240 bytes"},
      {std::string("ada\0", 4), "control character"},
      {std::string("\0", 1), "control character"},
      {"ada\n", "control character"},
      {"ada\r\nX-Admin: 1", "control character"},
      {"a\tb", "control character"},
      {"a\x7f", "control character"},
      {"a\xC2\x9B"
       "31m",
       "control character"},  // CSI in UTF-8: colours terminals
      {"a\xC2\x85", "control character"},
      {"\xFF", "UTF-8"},
      {"Jos\xE9", "UTF-8"},
      {"\xC0\xAF", "UTF-8"},          // overlong '/'
      {"\xED\xA0\x80", "UTF-8"},      // surrogate
      {"\xF4\x90\x80\x80", "UTF-8"},  // past U+10FFFF
      {"a\xE2\x82", "UTF-8"},         // cut short
  };
  for (const auto& [user, reason] : cases) {
    const auto name = session_name(user);
    ASSERT_FALSE(name) << reason;
    EXPECT_EQ(name.error().code, Errc::invalid);
    EXPECT_NE(name.error().text.find(reason), std::string::npos) << name.error().text;
  }
}

TEST(session_name, lets_nobody_choose_another_users_label) {
  // Whoever has an odd name gets slug-hHASH; whoever is called exactly that must get something else.
  std::string name = session_name("Ada").value();
  std::set<std::string> seen{name};
  for (int i = 0; i < 20; ++i) {
    name = session_name(name).value();
    EXPECT_TRUE(is_label(name));
    EXPECT_TRUE(seen.insert(name).second) << name;
  }
}

TEST(session_name, two_users_never_meet) {
  std::mt19937 random(7);
  // Few letters and short names: many pairs that are alike after cleaning.
  constexpr std::string_view letters = "aAbB-._@/ 01";
  std::set<std::string> users;
  std::set<std::string> names;
  for (int i = 0; i < 20'000; ++i) {
    std::string user;
    const std::size_t size = 1 + random() % 5;
    while (user.size() < size) user.push_back(letters[random() % letters.size()]);
    users.insert(user);
  }
  for (const std::string& user : users) names.insert(session_name(user).value());
  EXPECT_EQ(names.size(), users.size());
  EXPECT_GT(users.size(), 9'000U);
}

TEST(session_name, tells_long_names_apart_by_their_last_byte) {
  EXPECT_NE(session_name(std::string(255, 'a') + "b").value(),
            session_name(std::string(255, 'a') + "c").value());
}

TEST(session_name, does_not_mix_up_composed_and_decomposed_letters) {
  EXPECT_NE(session_name("jos\xC3\xA9").value(), session_name("jose\xCC\x81").value());
}

}  // namespace
}  // namespace alcove
