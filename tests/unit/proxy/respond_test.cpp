#include "proxy/respond.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <regex>

namespace alcove::proxy {
namespace {

using namespace std::string_literals;

struct Wire {
  std::string status_line;
  std::multimap<std::string, std::string> fields;
  std::string body;

  std::string field(const std::string& name) const {
    EXPECT_LE(fields.count(name), 1U) << name;
    const auto at = fields.find(name);
    return at == fields.end() ? "(none)" : at->second;
  }
};

Wire parse(const std::string& text) {
  Wire out;
  const auto end = text.find("\r\n\r\n");
  EXPECT_NE(end, std::string::npos);
  out.body = text.substr(end + 4);
  std::size_t at = text.find("\r\n");
  out.status_line = text.substr(0, at);
  while (at < end) {
    const auto next = text.find("\r\n", at + 2);
    const std::string line = text.substr(at + 2, next - at - 2);
    const auto colon = line.find(": ");
    EXPECT_NE(colon, std::string::npos) << line;
    EXPECT_EQ(line.find_first_of("\r\n"), std::string::npos) << line;
    out.fields.emplace(line.substr(0, colon), line.substr(colon + 2));
    at = next;
  }
  return out;
}

Wire written(const Reply& reply, const ReplyContext& context = {}) {
  std::string out;
  write_reply(reply, context, out);
  return parse(out);
}

Reply page(std::string body = "hello") {
  Reply reply;
  reply.content_type = "text/plain";
  reply.body = std::move(body);
  return reply;
}

Failure failure(Side side, Phase phase, int status, std::string text = {}, int retry_after_s = 0) {
  return {side, phase, status, std::move(text), retry_after_s};
}

TEST(respond, writes_a_whole_answer_that_says_whose_it_is) {
  const Wire wire = written(page(), {.request_id = "4bf9"});
  EXPECT_EQ(wire.status_line, "HTTP/1.1 200 OK");
  EXPECT_EQ(wire.field("Server"), "alcove");
  EXPECT_EQ(wire.field("X-Request-ID"), "4bf9");
  EXPECT_EQ(wire.field("Proxy-Status"), "alcove; error=proxy_internal_response");
  EXPECT_EQ(wire.field("Cache-Control"), "no-store");
  EXPECT_EQ(wire.field("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(wire.field("Content-Type"), "text/plain");
  EXPECT_EQ(wire.field("Content-Length"), "5");
  EXPECT_EQ(wire.field("Connection"), "(none)");
  EXPECT_EQ(wire.body, "hello");
}

TEST(respond, appends_to_what_is_there) {
  std::string out = "HTTP/1.1 100 Continue\r\n\r\n";
  write_reply(page(), {}, out);
  EXPECT_TRUE(out.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

TEST(respond, dates_are_imf_fixdate) {
  const std::string date = written(page()).field("Date");
  EXPECT_TRUE(
      std::regex_match(date, std::regex("(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] "
                                        "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) 20[0-9]{2} "
                                        "[0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT")))
      << date;
}

TEST(respond, says_what_becomes_of_the_connection) {
  EXPECT_EQ(written(page(), {.keep_alive = false}).field("Connection"), "close");
  EXPECT_EQ(written(page(), {.http11 = false}).field("Connection"), "keep-alive");
  EXPECT_EQ(written(page(), {.http11 = false, .keep_alive = false}).field("Connection"), "close");
}

TEST(respond, head_is_answered_as_if_without_the_body) {
  const Wire wire = written(page(), {.head_only = true});
  EXPECT_EQ(wire.field("Content-Length"), "5");
  EXPECT_EQ(wire.body, "");
}

TEST(respond, statuses_without_a_body_have_none) {
  for (const int status : {204, 304}) {
    Reply reply = page();
    reply.status = status;
    const Wire wire = written(reply);
    EXPECT_EQ(wire.field("Content-Length"), "(none)");
    EXPECT_EQ(wire.body, "");
  }
}

TEST(respond, an_empty_answer_has_a_length) {
  Reply reply;
  reply.status = 303;
  reply.fields.emplace_back("Location", "/");
  const Wire wire = written(reply);
  EXPECT_EQ(wire.status_line, "HTTP/1.1 303 See Other");
  EXPECT_EQ(wire.field("Content-Length"), "0");
  EXPECT_EQ(wire.field("Content-Type"), "(none)");
}

TEST(respond, a_stream_has_no_length_and_ends_with_the_connection_unless_chunked) {
  Reply reply;
  reply.content_type = "text/event-stream";
  reply.streaming = true;
  EXPECT_EQ(written(reply).field("Content-Length"), "(none)");
  EXPECT_EQ(written(reply).field("Connection"), "close");
  reply.fields.emplace_back("Transfer-Encoding", "chunked");
  EXPECT_EQ(written(reply).field("Connection"), "(none)");
}

TEST(respond, text_from_outside_cannot_begin_a_new_line) {
  Reply reply = page();
  reply.content_type = "text/plain\r\nX-Evil: 1";
  reply.fields.emplace_back("Location", "/a\r\nSet-Cookie: x=1\r\n\r\n<b>\0"s);
  reply.fields.emplace_back("X-Name\r\nX-Evil", "1");
  const Wire wire = written(reply, {.request_id = "id\r\nX-Evil: 1"});
  EXPECT_EQ(wire.fields.count("X-Evil"), 0U);
  EXPECT_EQ(wire.fields.count("Set-Cookie"), 0U);
  EXPECT_EQ(wire.field("Location").find_first_of("\r\n\0"s), std::string::npos);
  EXPECT_EQ(wire.body, "hello");
}

TEST(respond, several_cookies_stay_several_fields) {
  Reply reply = page();
  reply.fields.emplace_back("Set-Cookie", "a=1");
  reply.fields.emplace_back("Set-Cookie", "b=2");
  EXPECT_EQ(written(reply).fields.count("Set-Cookie"), 2U);
}

TEST(respond, fields_of_the_answer_come_before_defaults) {
  Reply reply = page();
  reply.status = 503;
  reply.fields.emplace_back("retry-after", "9");
  reply.fields.emplace_back("cache-control", "no-cache");
  const Wire wire = written(reply);
  EXPECT_EQ(wire.field("Retry-After"), "(none)");
  EXPECT_EQ(wire.field("retry-after"), "9");
  EXPECT_EQ(wire.field("Cache-Control"), "(none)");
}

TEST(respond, statuses_bring_the_fields_that_they_require) {
  const auto with_status = [](int status) {
    Reply reply = page();
    reply.status = status;
    return written(reply);
  };
  EXPECT_EQ(with_status(503).field("Retry-After"), "2");
  EXPECT_EQ(with_status(429).field("Retry-After"), "2");
  EXPECT_NE(with_status(401).field("WWW-Authenticate"), "(none)");
  EXPECT_NE(with_status(405).field("Allow"), "(none)");
  EXPECT_EQ(with_status(502).field("Retry-After"), "(none)");
}

TEST(respond, proxy_status_names_the_error_of_rfc_9209) {
  struct Case {
    Side side;
    Phase phase;
    int status;
    const char* error;
    const char* end;
  };
  const Case cases[] = {
      {Side::client, Phase::head, 400, "http_request_error", "CH"},
      {Side::client, Phase::head, 431, "http_request_error", "CH"},
      {Side::client, Phase::head, 401, "http_request_denied", "CH"},
      {Side::client, Phase::head, 403, "http_request_denied", "CH"},
      {Side::client, Phase::head, 404, "destination_not_found", "CH"},
      {Side::alcove, Phase::head, 404, "destination_not_found", "AH"},
      {Side::client, Phase::body, 408, "http_request_error", "CB"},
      {Side::client, Phase::body, 413, "http_request_error", "CB"},
      {Side::pod, Phase::dial, 502, "connection_refused", "PD"},
      {Side::pod, Phase::dial, 504, "connection_timeout", "PD"},
      {Side::pod, Phase::response, 502, "connection_terminated", "PR"},
      {Side::pod, Phase::response, 504, "http_response_timeout", "PR"},
      {Side::pod, Phase::body, 502, "http_response_incomplete", "PB"},
      {Side::pod, Phase::hold, 504, "destination_unavailable", "PW"},
      {Side::runtime, Phase::hold, 503, "destination_unavailable", "RW"},
      {Side::store, Phase::lookup, 503, "proxy_internal_error", "SL"},
      {Side::alcove, Phase::hold, 503, "destination_unavailable", "AW"},
      {Side::alcove, Phase::lookup, 424, "destination_unavailable", "AL"},
      {Side::alcove, Phase::hold, 504, "destination_unavailable", "AW"},
      {Side::alcove, Phase::head, 500, "proxy_internal_error", "AH"},
  };
  for (const Case& c : cases) {
    const Failure f = failure(c.side, c.phase, c.status, "text");
    const Wire wire = written(error_reply(f, {}));
    EXPECT_EQ(wire.field("Proxy-Status"),
              "alcove; error=" + std::string(c.error) + "; details=\"" + std::string(c.end) + "\"");
  }
}

TEST(error_reply, names_the_limit_that_was_met) {
  const Failure f{Limit::holds_per_user, Side::alcove, Phase::hold, 503, "too many wait", 2};
  const Wire wire = written(error_reply(f, {}));
  EXPECT_EQ(nlohmann::json::parse(wire.body)["limit"], "holds_per_user");
  EXPECT_NE(wire.field("Proxy-Status").find("connection_limit_reached"), std::string::npos);
}

TEST(error_reply, is_a_problem_document_for_programs) {
  const Failure f = failure(Side::pod, Phase::dial, 502, "no answer from \"127.0.0.1:9000\"\n\xFF");
  const ReplyContext context{.request_id = "4bf9"};
  const Wire wire = written(error_reply(f, context), context);
  EXPECT_EQ(wire.status_line, "HTTP/1.1 502 Bad Gateway");
  EXPECT_EQ(wire.field("Content-Type"), "application/problem+json");
  const auto problem = nlohmann::json::parse(wire.body);
  EXPECT_EQ(problem["status"], 502);
  EXPECT_EQ(problem["title"], "Bad Gateway");
  EXPECT_EQ(problem["code"], "PD");
  EXPECT_EQ(problem["request_id"], "4bf9");
  EXPECT_TRUE(problem["detail"].get<std::string>().starts_with("no answer from \"127.0.0.1:9000\"\n"));
}

TEST(error_reply, is_a_page_for_browsers) {
  const Failure f = failure(Side::client, Phase::head, 404, "no app is called \"<script>\" here");
  const ReplyContext context{.request_id = "4bf9", .html = true};
  const Wire wire = written(error_reply(f, context), context);
  EXPECT_EQ(wire.field("Content-Type"), "text/html; charset=utf-8");
  EXPECT_TRUE(wire.field("Content-Security-Policy").starts_with("default-src 'none'"));
  EXPECT_NE(wire.body.find("&lt;script&gt;"), std::string::npos);
  EXPECT_EQ(wire.body.find("\"<script>\""), std::string::npos);
  EXPECT_NE(wire.body.find("4bf9"), std::string::npos);
  EXPECT_NE(wire.body.find("CH"), std::string::npos);
}

TEST(error_reply, says_when_to_come_again) {
  const Failure f = failure(Side::runtime, Phase::hold, 503, "it did not start", 17);
  EXPECT_EQ(written(error_reply(f, {})).field("Retry-After"), "17");
  const Failure unknown = failure(Side::alcove, Phase::hold, 503);
  EXPECT_EQ(written(error_reply(unknown, {})).field("Retry-After"), "2");
}

TEST(error_reply, has_words_for_every_status) {
  for (const bool html : {false, true}) {
    for (int status = 400; status < 600; ++status) {
      const Failure f = failure(Side::alcove, Phase::head, status);
      const Wire wire = written(error_reply(f, {.html = html}), {.html = html});
      EXPECT_FALSE(wire.body.empty());
      EXPECT_FALSE(reason_phrase(status).empty());
    }
  }
}

}  // namespace
}  // namespace alcove::proxy
