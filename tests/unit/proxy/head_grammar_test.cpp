// Every byte in every place of a head, against the grammar of RFC 9110 5.5, 5.6.2 and RFC 9112 3 to 5.
#include "proxy/head_grammar.hpp"

#include <boost/beast/http/field.hpp>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace alcove::proxy {
namespace {

namespace http = boost::beast::http;

bool is_token_byte(unsigned c) {
  return c < 0x80 &&
         (std::isalnum(static_cast<int>(c)) != 0 ||
          std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos);
}
bool is_value_byte(unsigned c) {
  return c == '\t' || (c >= 0x20 && c != 0x7F);
}

HeadFault request(const std::string& text) {
  std::string_view rest = text;
  RequestLine line;
  return read_request_line(rest, line);
}
HeadFault field(const std::string& text, FieldLine* line = nullptr) {
  std::string_view rest = text;
  FieldLine own;
  HeadFault fault = HeadFault::none;
  EXPECT_TRUE(read_field_line(rest, line != nullptr ? *line : own, fault));
  return fault;
}

TEST(HeadGrammar, a_byte_is_taken_where_the_grammar_has_it_and_nowhere_else) {
  for (unsigned c = 0; c < 256; ++c) {
    const std::string byte(1, static_cast<char>(c));
    EXPECT_EQ(request("G" + byte + "T / HTTP/1.1\r\n") == HeadFault::none, is_token_byte(c)) << c;
    EXPECT_EQ(request("GET /" + byte + "x HTTP/1.1\r\n") == HeadFault::none, c > 0x20 && c != 0x7F) << c;
    EXPECT_EQ(field("a" + byte + "b: c\r\n") == HeadFault::none, is_token_byte(c) || c == ':') << c;
    EXPECT_EQ(field("a: b" + byte + "c\r\n") == HeadFault::none, is_value_byte(c)) << c;
  }
}

// Values are looked at eight bytes at a time: no byte may pass for where it is, or for what is around it.
TEST(HeadGrammar, a_byte_of_a_value_counts_in_every_place_and_beside_every_neighbour) {
  for (const char around : {'m', '\t', '\x20', '\x7E', '\x80', '\xFF'})
    for (std::size_t length = 1; length <= 20; ++length)
      for (std::size_t at = 0; at < length; ++at)
        for (unsigned c = 0; c < 256; ++c) {
          std::string value(length, around);
          value[at] = static_cast<char>(c);
          ASSERT_EQ(field("a:b" + value + "c\r\n") == HeadFault::none, is_value_byte(c))
              << c << " at " << at << " of " << length << " beside " << static_cast<int>(around);
        }
}

TEST(HeadGrammar, a_line_is_taken_from_the_front) {
  std::string_view rest = "GET /a?b HTTP/1.0\r\nHost:\t a  \r\nEmpty:\r\n\r\nbody";
  RequestLine line;
  ASSERT_EQ(read_request_line(rest, line), HeadFault::none);
  EXPECT_EQ(line.method, "GET");
  EXPECT_EQ(line.target, "/a?b");
  EXPECT_FALSE(line.http11);
  FieldLine one;
  HeadFault fault = HeadFault::none;
  ASSERT_TRUE(read_field_line(rest, one, fault));
  EXPECT_EQ(one.name, "Host");
  EXPECT_EQ(one.value, "a");
  ASSERT_TRUE(read_field_line(rest, one, fault));
  EXPECT_EQ(one.name, "Empty");
  EXPECT_EQ(one.value, "");
  EXPECT_FALSE(read_field_line(rest, one, fault));
  EXPECT_EQ(fault, HeadFault::none);
  EXPECT_EQ(rest, "body");
}

TEST(HeadGrammar, says_what_is_wrong_with_a_request_line) {
  const std::vector<std::pair<std::string, HeadFault>> cases{{"GET / HTTP/1.1\r\n", HeadFault::none},
                                                             {" GET / HTTP/1.1\r\n", HeadFault::method},
                                                             {"GET\r\n", HeadFault::method},
                                                             {"GET  / HTTP/1.1\r\n", HeadFault::target},
                                                             {"GET /\r\n", HeadFault::target},
                                                             {"GET / \r\n", HeadFault::version},
                                                             {"GET / HTTP/1.1 \r\n", HeadFault::version},
                                                             {"GET / HTTP/1.2\r\n", HeadFault::version},
                                                             {"GET / HTTP/2.0\r\n", HeadFault::version},
                                                             {"GET / http/1.1\r\n", HeadFault::version},
                                                             {"GET / HTTP/1.1x\r\n", HeadFault::version},
                                                             {"GET / HTTP/11\r\n", HeadFault::version},
                                                             {"GET / HTTP/1.1\n\r\n", HeadFault::version}};
  for (const auto& [text, fault] : cases) EXPECT_EQ(request(text), fault) << text;
}

TEST(HeadGrammar, says_what_is_wrong_with_a_status_line) {
  const auto status = [](std::string_view text, StatusLine& line) { return read_status_line(text, line); };
  StatusLine line;
  EXPECT_EQ(status("HTTP/1.1 204 No Content\r\n", line), HeadFault::none);
  EXPECT_EQ(line.status, 204U);
  EXPECT_EQ(line.reason, "No Content");
  EXPECT_EQ(status("HTTP/1.1 200 \r\n", line), HeadFault::none);
  EXPECT_EQ(line.reason, "");
  EXPECT_EQ(status("HTTP/1.1 20 OK\r\n", line), HeadFault::status);
  EXPECT_EQ(status("HTTP/1.1 2000 OK\r\n", line), HeadFault::status);
  EXPECT_EQ(status("HTTP/1.1 +20 OK\r\n", line), HeadFault::status);
  EXPECT_EQ(status("HTTP/1.1 200\r\n", line), HeadFault::status);
  EXPECT_EQ(status("HTTP/3 200 OK\r\n", line), HeadFault::version);
  EXPECT_EQ(status(std::string_view("HTTP/1.1 200 O\0K\r\n", 18), line), HeadFault::reason);
}

TEST(HeadGrammar, a_name_has_its_colon_right_behind_it) {
  for (const char* text : {"Host : a\r\n", "Host\r\n", ": a\r\n", " Host: a\r\n", "Ho st: a\r\n"})
    EXPECT_EQ(field(text), HeadFault::name) << text;
}

TEST(HeadGrammar, knows_the_fields_that_matter_in_any_case_and_no_others) {
  for (unsigned i = 1; i <= static_cast<unsigned>(http::field::xref); ++i) {
    const auto id = static_cast<http::field>(i);
    const std::string name(http::to_string(id));
    const http::field known = known_field(name);
    EXPECT_TRUE(known == id || known == http::field::unknown) << name;
  }
  EXPECT_EQ(known_field("cONTENT-lENGTH"), http::field::content_length);
  EXPECT_EQ(known_field("Proxy-Authorization"), http::field::proxy_authorization);
  EXPECT_EQ(known_field("TE"), http::field::te);
  EXPECT_EQ(known_field("Content_Length"), http::field::unknown);
  EXPECT_EQ(known_field(""), http::field::unknown);
  EXPECT_EQ(known_field("Proxy-Authorizations"), http::field::unknown);
}

}  // namespace
}  // namespace alcove::proxy
