#include "base/text.hpp"

#include <gtest/gtest.h>

namespace alcove {
namespace {

using namespace std::string_literals;

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

TEST(text, trims_spaces_and_tabs_only) {
  EXPECT_EQ(trim(" \t a b\t "), "a b");
  EXPECT_EQ(trim(" \t"), "");
  EXPECT_EQ(trim("\na\r"), "\na\r");
}

}  // namespace
}  // namespace alcove
