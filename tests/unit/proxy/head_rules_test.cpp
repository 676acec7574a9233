// What goes on to the other side: rules 1, 2, 10, 16, 17, 18 of the HTTP rules.
#include "proxy/head_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alcove::proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Rewriter {
  RequestRules rules;
  std::vector<std::string> private_headers{"x-user-id"};

  Rewriter() {
    rules.peer_address = "192.0.2.7";
    rules.port = 8080;
    rules.request_id = "0123456789abcdef";
    rules.identity_header = "X-Alcove-User";
    rules.user = "ada";
    rules.private_cookie = "alcove_dev";
    rules.private_headers = &private_headers;
  }
  std::string request(const std::string& fields, const std::string& line = "GET /a/b HTTP/1.1") {
    const std::string text = line + "\r\nHost: Demo.Example:8080\r\n" + fields + "\r\n";
    RequestHead head;
    const auto failure = parse_request_head(text, HeadLimits{32 * 1024, 100}, head);
    EXPECT_FALSE(failure) << failure->text;
    std::string out;
    write_request_head(head, rules, out);
    return out;
  }
};

TEST(HeadRules, hop_by_hop_fields_and_all_that_connection_names_stay_behind) {
  Rewriter r;
  const std::string out = r.request(
      "Connection: X-Secret, close\r\nX-Secret: 1\r\nKeep-Alive: x\r\nProxy-Connection: x\r\nTE: trailers\r\n"
      "Upgrade: h2c\r\nHTTP2-Settings: x\r\nProxy-Authorization: Basic x\r\nX-Stays: 2\r\n");
  for (const char* gone : {"X-Secret", "Keep-Alive", "Proxy-Connection", "TE:", "Upgrade", "HTTP2-Settings",
                           "Proxy-Authorization", "Connection"})
    EXPECT_THAT(out, Not(HasSubstr(gone)));
  EXPECT_THAT(out, HasSubstr("X-Stays: 2\r\n"));
}

TEST(HeadRules, connection_cannot_name_away_what_alcove_sets) {
  Rewriter r;
  const std::string out = r.request(
      "Connection: Host, Content-Length, X-Forwarded-For, X-Alcove-User, X-Request-ID\r\nContent-Length: "
      "3\r\n",
      "POST / HTTP/1.1");
  EXPECT_THAT(out, HasSubstr("Host: Demo.Example:8080\r\n"));
  EXPECT_THAT(out, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-For: 192.0.2.7\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Alcove-User: ada\r\n"));
}

TEST(HeadRules, identity_and_internal_fields_of_a_client_never_reach_a_pod) {
  Rewriter r;
  const std::string out = r.request(
      "X-User-ID: eve\r\nx_user_id: eve\r\nX-Alcove-User: eve\r\nX_ALCOVE_USER: eve\r\nx-alcove-anything: "
      "eve\r\n"
      "X-Alcove_User: eve\r\n");
  EXPECT_THAT(out, Not(HasSubstr("eve")));
  EXPECT_THAT(out, HasSubstr("X-Alcove-User: ada\r\n"));
}

TEST(HeadRules, forwarding_fields_are_overwritten_unless_the_peer_is_trusted) {
  Rewriter r;
  const std::string sent =
      "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: "
      "evil\r\nX_Forwarded_For: 203.0.113.9\r\n"
      "Forwarded: for=198.51.100.1\r\nX-Real-IP: 198.51.100.1\r\nX-Request-ID: theirs\r\n";
  std::string out = r.request(sent);
  EXPECT_THAT(out, Not(HasSubstr("198.51.100.1")));
  EXPECT_THAT(out, Not(HasSubstr("evil")));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: "
                             "Demo.Example:8080\r\nX-Forwarded-Port: 8080\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Request-ID: 0123456789abcdef\r\n"));
  r.rules.peer_trusted = true;
  out = r.request(sent);
  EXPECT_THAT(out, HasSubstr("X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\nX-Forwarded-Proto: "
                             "https\r\nX-Forwarded-Host: evil\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Request-ID: theirs\r\n"));
  EXPECT_THAT(out, Not(HasSubstr("203.0.113.9")));
}

TEST(HeadRules, what_a_trusted_peer_says_in_several_lines_is_one_list) {
  Rewriter r;
  const std::string sent =
      "X-Forwarded-For: 198.51.100.1\r\nForwarded: for=198.51.100.1\r\nX-Forwarded-For: 198.51.100.2, "
      "198.51.100.3\r\nForwarded: for=\"[2001:db8::1]\"\r\nVia: 1.1 front\r\nX-Forwarded-Prefix: /x\r\n";
  std::string out = r.request(sent);
  for (const char* gone : {"198.51", "Forwarded: ", "front", "Prefix"})
    EXPECT_THAT(out, Not(HasSubstr(gone)));
  r.rules.peer_trusted = true;
  out = r.request(sent);
  EXPECT_THAT(out, HasSubstr("X-Forwarded-For: 198.51.100.1, 198.51.100.2, 198.51.100.3, 192.0.2.7\r\n"));
  EXPECT_THAT(out, HasSubstr("Forwarded: for=198.51.100.1, for=\"[2001:db8::1]\", for=192.0.2.7;"
                             "host=\"Demo.Example:8080\";proto=http\r\n"));
  EXPECT_THAT(out, HasSubstr("Via: 1.1 front\r\n"));
  EXPECT_THAT(out, HasSubstr("X-Forwarded-Prefix: /x\r\n"));
  r.rules.peer_address = "2001:db8::7";
  r.rules.tls = true;
  EXPECT_THAT(r.request("Forwarded: \r\n"),
              HasSubstr("Forwarded: for=\"[2001:db8::7]\";host=\"Demo.Example:8080\";proto=https\r\n"));
}

TEST(HeadRules, names_with_an_underscore_of_their_own_are_guarded_too) {
  Rewriter r;
  r.rules.identity_header = "X_App_User";
  r.rules.jwt_header = "X_App_Jwt";
  r.private_headers = {"x_user_id"};
  const std::string out = r.request(
      "X_User_ID: eve\r\nx-user-id: eve\r\nX-App-User: eve\r\nx_app_user: eve\r\nX_App_JWT: eve\r\n");
  EXPECT_THAT(out, Not(HasSubstr("eve")));
  EXPECT_THAT(out, HasSubstr("X_App_User: ada\r\n"));
}

TEST(HeadRules, a_jwt_goes_to_the_pod_and_a_clients_never_does) {
  Rewriter r;
  r.rules.jwt_header = "X-Alcove-Jwt";
  EXPECT_THAT(r.request("X-Alcove-Jwt: eve\r\n"), Not(HasSubstr("Jwt")));
  r.rules.jwt = "a.b.c";
  EXPECT_THAT(r.request("X-Alcove-Jwt: eve\r\n"), HasSubstr("X-Alcove-Jwt: a.b.c\r\n"));
}

TEST(HeadRules, our_cookie_is_found_however_it_is_written) {
  Rewriter r;
  for (const char* ours : {"alcove_dev=s", "Alcove_Dev=s", "ALCOVE-DEV = s", "alcove_dev",
                           "a=1, alcove_dev=s", "alcove_dev=s, a=1"}) {
    const std::string out = r.request(std::string("Cookie: x=1;") + ours + "\r\nCookie: y=2, z\r\n");
    EXPECT_THAT(out, HasSubstr("Cookie: x=1; ")) << ours;
    EXPECT_THAT(out, HasSubstr("y=2, z\r\n")) << ours;
    for (const char* gone : {"alcove", "Alcove", "ALCOVE", "=s", "= s"})
      EXPECT_THAT(out.substr(out.find("Cookie"), out.find("X-Forwarded-For") - out.find("Cookie")),
                  Not(HasSubstr(gone)))
          << ours;
  }
  EXPECT_THAT(r.request("Connection: cookie\r\nCookie: a=1\r\n"), Not(HasSubstr("Cookie")));
}

TEST(HeadRules, cookies_become_one_line_without_ours) {
  Rewriter r;
  EXPECT_THAT(r.request("Cookie: a=1; alcove_dev=secret; b=2\r\nCookie: c=3\r\n"),
              HasSubstr("Cookie: a=1; b=2; c=3\r\n"));
  EXPECT_THAT(r.request("Cookie: alcove_dev=secret\r\n"), Not(HasSubstr("Cookie")));
}

TEST(HeadRules, framing_is_written_anew) {
  Rewriter r;
  EXPECT_THAT(r.request("Transfer-Encoding: Chunked\r\n", "POST / HTTP/1.1"),
              HasSubstr("Transfer-Encoding: chunked\r\n\r\n"));
  EXPECT_THAT(r.request("Content-Length: 007\r\n", "POST / HTTP/1.1"),
              HasSubstr("Content-Length: 7\r\n\r\n"));
  EXPECT_THAT(r.request("Content-Length: 0\r\n", "POST / HTTP/1.1"), HasSubstr("Content-Length: 0\r\n\r\n"));
  EXPECT_THAT(r.request("content_length: 5\r\ntransfer_encoding: chunked\r\n"), Not(HasSubstr("_")));
}

TEST(HeadRules, a_stripped_prefix_leaves_a_path) {
  Rewriter r;
  r.rules.strip = 2;
  EXPECT_EQ(r.request("").substr(0, 15), "GET /b HTTP/1.1");
  r.rules.strip = 4;
  EXPECT_EQ(r.request("").substr(0, 14), "GET / HTTP/1.1");
  EXPECT_EQ(r.request("", "GET /a/b?q HTTP/1.1").substr(0, 16), "GET /?q HTTP/1.1");
}

TEST(HeadRules, an_upgrade_goes_on_as_one) {
  Rewriter r;
  const std::string out = r.request("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n");
  EXPECT_THAT(out, HasSubstr("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_THAT(out, HasSubstr("Sec-WebSocket-Key: k\r\n"));
}

std::string answer(const std::string& fields, ResponseRules rules,
                   const std::string& line = "HTTP/1.1 200 OK") {
  const std::string text = line + "\r\n" + fields + "\r\n";
  ResponseHead head;
  EXPECT_FALSE(parse_response_head(text, HeadLimits{32 * 1024, 100}, false, head));
  std::string out;
  write_response_head(head, rules, out);
  return out;
}

TEST(HeadRules, an_answer_keeps_its_fields_but_not_our_cookie_or_internal_ones) {
  ResponseRules rules;
  rules.private_cookie = "alcove_dev";
  const std::string out = answer(
      "Set-Cookie: a=1; Path=/\r\nSet-Cookie: alcove_dev=forged; Path=/\r\nSet-Cookie: b=2\r\nX-Alcove-Ours: "
      "x\r\n"
      "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\n",
      rules);
  EXPECT_THAT(out, HasSubstr("Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n"));
  for (const char* gone : {"forged", "X-Alcove-Ours", "X-Hop", "Keep-Alive", "Connection"})
    EXPECT_THAT(out, Not(HasSubstr(gone)));
  EXPECT_THAT(out, HasSubstr("Content-Length: 3\r\n\r\n"));
}

TEST(HeadRules, a_pod_cannot_set_our_cookie_however_it_is_written) {
  ResponseRules rules;
  rules.private_cookie = "alcove_dev";
  for (const char* ours :
       {"alcove_dev=f", "ALCOVE_DEV=f", " alcove-dev = f; Path=/", "alcove_dev", "=alcove_dev=f",
        "a=1, alcove_dev=f", "a=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT, alcove_dev=f"})
    EXPECT_THAT(answer(std::string("Set-Cookie: ") + ours + "\r\n", rules), Not(HasSubstr("Set-Cookie")))
        << ours;
  for (const char* theirs : {"alcove_dev2=f", "a=alcove_dev", "a=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT"})
    EXPECT_THAT(answer(std::string("Set-Cookie: ") + theirs + "\r\n", rules), HasSubstr(theirs));
  rules.private_cookie = {};
  EXPECT_THAT(answer("Set-Cookie: =x\r\n", rules), HasSubstr("Set-Cookie: =x"));
}

TEST(HeadRules, an_answer_says_what_becomes_of_the_connection) {
  ResponseRules rules;
  rules.keep_alive = false;
  EXPECT_THAT(answer("Content-Length: 3\r\n", rules), HasSubstr("Connection: close\r\n"));
  rules.keep_alive = true;
  rules.client_http11 = false;
  EXPECT_THAT(answer("Content-Length: 3\r\n", rules), HasSubstr("Connection: keep-alive\r\n"));
  rules.client_http11 = true;
  rules.chunked = true;
  EXPECT_THAT(answer("", rules), HasSubstr("Transfer-Encoding: chunked\r\n\r\n"));
  EXPECT_THAT(answer("", ResponseRules{}, "HTTP/1.1 103 Early Hints"), Not(HasSubstr("Connection")));
}

}  // namespace
}  // namespace alcove::proxy
