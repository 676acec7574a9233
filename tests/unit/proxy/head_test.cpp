// The strict head parser and the framing it decides: rules 2, 3, 4, 5, 9, 19 of the HTTP rules.
#include "proxy/head.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <string>

namespace alcove::proxy {
namespace {

constexpr HeadLimits kLimits{32 * 1024, 100};

// The head points into its text, which therefore stays for as long as the tests run.
std::optional<Failure> parse(const std::string& sent, RequestHead& head) {
  static std::deque<std::string> kept;
  const std::string& text = kept.emplace_back(sent);
  std::size_t line = 0;
  std::size_t end = 0;
  if (find_head_end(text, line, end) != HeadScan::complete)
    return Failure{Side::client, Phase::head, 400, "scan", 0};
  EXPECT_EQ(end, text.size());
  return parse_request_head(text, kLimits, head);
}

int status_of(const std::string& text) {
  RequestHead head;
  const auto failure = parse(text, head);
  return failure ? failure->status : 200;
}

TEST(Head, finds_its_end_whatever_pieces_it_comes_in) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
  std::size_t line = 0;
  std::size_t end = 0;
  for (std::size_t n = 0; n < 27; ++n)
    ASSERT_EQ(find_head_end(std::string_view(text).substr(0, n), line, end), HeadScan::incomplete) << n;
  ASSERT_EQ(find_head_end(text, line, end), HeadScan::complete);
  EXPECT_EQ(end, 27U);
}

TEST(Head, a_bare_lf_or_a_folded_line_is_malformed_at_once) {
  for (const char* text : {"GET / HTTP/1.1\n", "\n", "GET / HTTP/1.1\r\nHost: a\n", "GET / HTTP/1.1\r\n b: c",
                           "GET / HTTP/1.1\r\nA: b\r\n\tc"}) {
    std::size_t line = 0;
    std::size_t end = 0;
    EXPECT_EQ(find_head_end(text, line, end), HeadScan::malformed) << text;
  }
}

struct Case {
  const char* what;
  std::string text;
  int status;
};

TEST(Head, refuses_what_two_readers_could_read_differently) {
  const std::string get = "GET / HTTP/1.1\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  const Case cases[] = {
      {"no host", get + "\r\n", 400},
      {"two hosts", get + "Host: a\r\nHost: a\r\n\r\n", 400},
      {"host with space", get + "Host: a b\r\n\r\n", 400},
      {"host with user", get + "Host: x@a\r\n\r\n", 400},
      {"space before colon", get + "Host : a\r\n\r\n", 400},
      {"empty field name", get + "Host: a\r\n: x\r\n\r\n", 400},
      {"NUL in a value", get + std::string("Host: a\r\nX: a\0b\r\n\r\n", 19), 400},
      {"bare CR in a value", get + "Host: a\r\nX: a\rb\r\n\r\n", 400},
      {"a field without a colon", get + "Host: a\r\nnonsense\r\n\r\n", 400},
      {"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"the same length twice", post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
      {"a list of lengths", post + "Content-Length: 1, 1\r\n\r\n", 400},
      {"a signed length", post + "Content-Length: +1\r\n\r\n", 400},
      {"a negative length", post + "Content-Length: -1\r\n\r\n", 400},
      {"a hexadecimal length", post + "Content-Length: 0x1\r\n\r\n", 400},
      {"an empty length", post + "Content-Length: \r\n\r\n", 400},
      {"a huge length", post + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {"length and coding", post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"coding and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
      {"chunked twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"chunked in a list twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n", 501},
      {"not chunked at the end", post + "Transfer-Encoding: chunked, identity\r\n\r\n", 400},
      {"identity", post + "Transfer-Encoding: identity\r\n\r\n", 400},
      {"gzip under chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"coding with a vertical tab",
       post + "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n",
       400},
      {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"an unknown expectation", post + "Expect: miracles\r\n\r\n", 417},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405},
      {"a target that is no path", "GET index.html HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"* for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"HTTP/0.9 style", "GET /\r\nHost: a\r\n\r\n", 400},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  };
  for (const Case& c : cases) EXPECT_EQ(status_of(c.text), c.status) << c.what;
}

TEST(Head, framing_never_depends_on_the_method) {
  for (const char* method : {"GET", "HEAD", "DELETE", "POST", "OPTIONS", "BREW"}) {
    RequestHead head;
    ASSERT_FALSE(parse(std::string(method) + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", head))
        << method;
    EXPECT_EQ(head.body.kind, BodyKind::length) << method;
    EXPECT_EQ(head.body.length, 5U);
    ASSERT_FALSE(parse(std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n", head)) << method;
    EXPECT_EQ(head.body.kind, BodyKind::none) << method;
  }
}

TEST(Head, absolute_form_wins_over_host) {
  RequestHead head;
  ASSERT_FALSE(parse("GET http://b.example:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n", head));
  EXPECT_EQ(head.host, "b.example:81");
  EXPECT_EQ(head.path, "/x?y");
  ASSERT_FALSE(parse("GET http://b.example HTTP/1.1\r\nHost: a\r\n\r\n", head));
  EXPECT_EQ(head.path, "/");
  ASSERT_FALSE(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", head));
  EXPECT_EQ(head.path, "*");
  ASSERT_FALSE(parse("OPTIONS http://b.example HTTP/1.1\r\nHost: a\r\n\r\n", head));
  EXPECT_EQ(head.path, "*");
  ASSERT_FALSE(parse("OPTIONS http://b.example/ HTTP/1.1\r\nHost: a\r\n\r\n", head));
  EXPECT_EQ(head.path, "/");
}

TEST(Head, a_target_has_no_fragment) {
  RequestHead head;
  for (const char* target : {"/a#b", "/#", "http://b.example/a#b", "http://b.example#b", "/a?b#c"}) {
    const auto failure = parse(std::string("GET ") + target + " HTTP/1.1\r\nHost: a\r\n\r\n", head);
    ASSERT_TRUE(failure) << target;
    EXPECT_EQ(failure->status, 400);
  }
  EXPECT_FALSE(parse("GET /a%23b HTTP/1.1\r\nHost: a\r\n\r\n", head));
}

TEST(Head, knows_whether_the_connection_goes_on) {
  RequestHead head;
  ASSERT_FALSE(parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n", head));
  EXPECT_TRUE(head.keep_alive);
  ASSERT_FALSE(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n", head));
  EXPECT_FALSE(head.keep_alive);
  ASSERT_FALSE(parse("GET / HTTP/1.0\r\n\r\n", head));
  EXPECT_FALSE(head.keep_alive);
  ASSERT_FALSE(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", head));
  EXPECT_TRUE(head.keep_alive);
}

TEST(Head, only_a_websocket_upgrade_is_one) {
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
  RequestHead head;
  ASSERT_FALSE(parse(get + "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", head));
  EXPECT_TRUE(head.websocket);
  ASSERT_FALSE(parse(get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", head));
  EXPECT_FALSE(head.websocket);
  ASSERT_FALSE(parse(get + "Upgrade: websocket\r\n\r\n", head));
  EXPECT_FALSE(head.websocket);
}

TEST(Head, too_many_fields_is_431_and_names_one) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 100; ++i) text += "X-" + std::to_string(i) + ": y\r\n";
  RequestHead head;
  const auto failure = parse(text + "\r\n", head);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->status, 431);
  EXPECT_NE(failure->text.find("X-99"), std::string::npos) << failure->text;
}

ResponseHead response(const std::string& text, bool to_head, int expected = 0) {
  ResponseHead head;
  const auto failure = parse_response_head(text, kLimits, to_head, head);
  EXPECT_EQ(failure ? failure->status : 0, expected) << text;
  return head;
}

TEST(Head, answers_without_a_body_have_none_whatever_their_lengths_say) {
  const std::string length = "Content-Length: 5\r\n\r\n";
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\n" + length, true).body.kind, BodyKind::none);
  EXPECT_EQ(response("HTTP/1.1 204 No Content\r\n" + length, false).body.kind, BodyKind::none);
  EXPECT_EQ(response("HTTP/1.1 304 Not Modified\r\n" + length, false).body.kind, BodyKind::none);
  EXPECT_EQ(response("HTTP/1.1 304 Not Modified\r\n" + length, false).content_length, 5U);
  EXPECT_EQ(response("HTTP/1.1 100 Continue\r\n\r\n", false).body.kind, BodyKind::none);
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\n" + length, false).body.kind, BodyKind::length);
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\n\r\n", false).body.kind, BodyKind::until_close);
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false).body.kind,
            BodyKind::chunked);
}

TEST(Head, ambiguous_answers_are_refused) {
  response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", false, 502);
  response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", false, 502);
  response("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", false, 502);
  response("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, 502);
  response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 502);
  response("HTTP/1.1 700 Odd\r\n\r\n", false, 502);
  response("nonsense\r\n\r\n", false, 502);
}

}  // namespace
}  // namespace alcove::proxy
