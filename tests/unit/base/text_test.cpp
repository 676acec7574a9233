#include "base/text.hpp"

#include <gtest/gtest.h>

namespace alcove {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

TEST(text, takes_utf8_and_nothing_else) {
  for (const std::string& good :
       {""s, "ada"s, "\0"s, "\x7F"s, "\xC2\x80"s, "\xDF\xBF"s, "\xE0\xA0\x80"s, "\xED\x9F\xBF"s,
        "\xEE\x80\x80"s, "\xEF\xBF\xBF"s, "\xF0\x90\x80\x80"s, "\xF4\x8F\xBF\xBF"s})
    EXPECT_TRUE(is_utf8(good)) << printable(good, 80);
  for (const std::string& bad :
       {"\x80"s, "\xBF"s, "\xC0\x80"s, "\xC1\xBF"s, "\xC2"s, "\xC2\x41"s, "\xC2\xC2"s, "\xE0\x9F\xBF"s,
        "\xE2\x82"s, "\xED\xA0\x80"s, "\xED\xBF\xBF"s, "\xF0\x8F\xBF\xBF"s, "\xF0\x9F\x92"s,
        "\xF4\x90\x80\x80"s, "\xF5\x80\x80\x80"s, "\xFE"s, "\xFF"s, "a\x80z"s, "\xC2\x80\x80"s})
    EXPECT_FALSE(is_utf8(bad)) << printable(bad, 80);
}

TEST(text, shows_hostile_bytes_as_escapes) {
  EXPECT_EQ(printable("plain text", 80), "plain text");
  EXPECT_EQ(printable("a\r\nb\x1B[31m\0c"s, 80), "a\\x0d\\x0ab\\x1b[31m\\x00c");
  EXPECT_EQ(printable("\xC3\xA9\x7F", 80), "\\xc3\\xa9\\x7f");
  EXPECT_EQ(printable(std::string(1000, 'a'), 10), "aaaaaaaaaa...");
  EXPECT_EQ(printable("aaaaaaaaaa", 10), "aaaaaaaaaa");
}

TEST(text, escapes_html) {
  EXPECT_EQ(html_escape("<a href=\"x\" title='y'>&</a>"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;&lt;/a&gt;");
}

TEST(text, percent_encodes_and_decodes_every_byte) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  std::string back;
  ASSERT_TRUE(percent_decode(percent_encode(all), back));
  EXPECT_EQ(back, all);
  EXPECT_EQ(percent_encode("az-._~09/?&=+ é"), "az-._~09%2F%3F%26%3D%2B%20%C3%A9");
}

TEST(text, refuses_broken_percent_escapes) {
  std::string out;
  for (const std::string_view bad : {"%", "%1", "a%", "a%2", "%zz", "%2g", "%-1", "%%41"})
    EXPECT_FALSE(percent_decode(bad, out)) << bad;
  ASSERT_TRUE(percent_decode("a+b%2b", out));
  EXPECT_EQ(out, "a+b+");
}

TEST(text, finds_a_forms_value) {
  std::string out;
  ASSERT_TRUE(form_value("user=ada+lovelace&to=%2Flab%3Fx%3D1", "user", out));
  EXPECT_EQ(out, "ada lovelace");
  ASSERT_TRUE(form_value("user=ada+lovelace&to=%2Flab%3Fx%3D1", "to", out));
  EXPECT_EQ(out, "/lab?x=1");
  ASSERT_TRUE(form_value("user=first&user=second", "user", out));
  EXPECT_EQ(out, "first");
  ASSERT_TRUE(form_value("user=", "user", out));
  EXPECT_EQ(out, "");
  ASSERT_TRUE(form_value("user=a=b", "user", out));
  EXPECT_EQ(out, "a=b");
  for (const std::string_view form : {"", "&&", "user", "users=ada", "x=user", "user=%4"})
    EXPECT_FALSE(form_value(form, "user", out)) << form;
}

TEST(text, compares_ascii_without_case) {
  EXPECT_TRUE(iequals("X-User-ID", "x-user-id"));
  EXPECT_FALSE(iequals("X-User-ID", "x-user-i"));
  EXPECT_FALSE(iequals("[", "{"));  // 32 apart, but no letters
  EXPECT_FALSE(iequals("\xC3\x84", "\xC3\xA4"));
}

// Eight bytes are compared at once: what is equal must not depend on where in the text it is, or what is
// beside it.
TEST(text, compares_every_byte_in_every_place_without_case) {
  for (std::size_t length = 1; length <= 18; ++length) {
    const std::string around(length, 'm');
    for (std::size_t at = 0; at < length; ++at)
      for (int a = 0; a < 256; ++a)
        for (const int b : {a, a ^ 0x20, a ^ 0x80, (a + 1) & 0xFF, (a + 32) & 0xFF}) {
          std::string left = around;
          std::string right = around;
          left[at] = static_cast<char>(a);
          right[at] = static_cast<char>(b);
          const bool same = lower(static_cast<char>(a)) == lower(static_cast<char>(b));
          ASSERT_EQ(iequals(left, right), same) << a << " and " << b << " at " << at << " of " << length;
        }
  }
}

TEST(text, finds_the_first_byte_of_a_set) {
  constexpr ByteSet set("?\xFF\0"sv);
  EXPECT_EQ(set.find_in("ab?c?"), 2U);
  EXPECT_EQ(set.find_in("a\xFF"), 1U);
  EXPECT_EQ(set.find_in("\0"sv), 0U);
  EXPECT_EQ(set.find_in("abc"), std::string_view::npos);
  EXPECT_EQ(set.find_in(""), std::string_view::npos);
}

TEST(text, cuts_off_a_query_and_a_fragment) {
  EXPECT_EQ(without_query("/a/b"), "/a/b");
  EXPECT_EQ(without_query("/a?b?c#d"), "/a");
  EXPECT_EQ(without_query("/a#d?b"), "/a");
  EXPECT_EQ(without_query("?"), "");
}

TEST(text, trims_spaces_and_tabs_only) {
  EXPECT_EQ(trim(" \t a b\t "), "a b");
  EXPECT_EQ(trim(" \t"), "");
  EXPECT_EQ(trim("\na\r"), "\na\r");
}

}  // namespace
}  // namespace alcove
