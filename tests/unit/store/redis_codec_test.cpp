// What a hostile or broken server may answer is an error with a text, never a crash and never a wrong
// session.
#include "store/redis_codec.hpp"

#include "store/redis_reader.hpp"

#include <gtest/gtest.h>

#include <random>

namespace alcove {
namespace {

using Kind = RedisReply::Kind;

RedisReply text(std::string value) {
  RedisReply reply;
  reply.kind = Kind::string;
  reply.text = std::move(value);
  return reply;
}
RedisReply error(std::string value) {
  RedisReply reply = text(std::move(value));
  reply.kind = Kind::error;
  return reply;
}
RedisReply integer(std::int64_t value) {
  RedisReply reply;
  reply.kind = Kind::integer;
  reply.integer = value;
  return reply;
}
RedisReply array(std::vector<RedisReply> elements) {
  RedisReply reply;
  reply.kind = Kind::array;
  reply.elements = std::move(elements);
  return reply;
}
RedisReply record(const std::string& field = "", const std::string& value = "") {
  std::vector<std::pair<std::string, std::string>> fields{
      {"app", "notebook"}, {"user", "ada"}, {"state", "ready"}, {"ep", "127.0.1.1:9000"},   {"uid", "u1"},
      {"cause", "none"},   {"gen", "3"},    {"idle", "600000"}, {"ready", "1700000000000"}, {"pinned", "1"}};
  RedisReply reply = array({});
  for (auto& [name, content] : fields) {
    reply.elements.push_back(text(name));
    reply.elements.push_back(text(name == field ? value : content));
  }
  return reply;
}

TEST(RedisCodec, reads_a_session) {
  const auto session = redis_codec::decode_session(array({text("ok"), text("notebook/ada"), record()}));
  ASSERT_TRUE(session);
  EXPECT_EQ(session.value().key.text(), "notebook/ada");
  EXPECT_EQ(session.value().state, State::ready);
  EXPECT_EQ(session.value().generation, 3U);
  EXPECT_EQ(session.value().endpoint, parse_endpoint("127.0.1.1:9000").value());
  EXPECT_EQ(session.value().policy.idle_timeout, Millis{600'000});
  EXPECT_EQ(session.value().ready_since, from_unix_ms(1'700'000'000'000));
  EXPECT_TRUE(session.value().pinned);
}

TEST(RedisCodec, every_spoilt_field_is_named) {
  const std::vector<std::pair<std::string, std::string>> spoilt{
      {"state", "asleep"},
      {"state", ""},
      {"cause", "boredom"},
      {"ep", "nowhere"},
      {"ep", "127.0.0.1:99999"},
      {"gen", "-1"},
      {"gen", "3x"},
      {"gen", "1e3"},
      {"gen", "99999999999999999999"},
      {"idle", "soon"},
      {"ready", " 1"},
      {"pinned", "yes"},
  };
  for (const auto& [field, value] : spoilt) {
    const auto session =
        redis_codec::decode_session(array({text("ok"), text("notebook/ada"), record(field, value)}));
    ASSERT_FALSE(session) << field << "=" << value;
    EXPECT_EQ(session.error().code, Errc::internal);
    EXPECT_NE(session.error().text.find(field), std::string::npos) << session.error().text;
  }
}

TEST(RedisCodec, refusals_keep_their_code_and_text) {
  for (const auto& [word, code] : std::vector<std::pair<std::string, Errc>>{{"stale", Errc::stale},
                                                                            {"busy", Errc::busy},
                                                                            {"not_found", Errc::not_found},
                                                                            {"invalid", Errc::invalid}}) {
    const auto session = redis_codec::decode_session(array({text(word), text("because")}));
    ASSERT_FALSE(session);
    EXPECT_EQ(session.error().code, code);
    EXPECT_EQ(session.error().text, "because");
  }
}

TEST(RedisCodec, errors_that_may_pass_are_unavailable_and_others_internal) {
  for (const char* passing :
       {"LOADING Redis is loading", "READONLY You can't write", "OOM command not allowed",
        "NOAUTH Authentication required.", "CLUSTERDOWN x", "MISCONF x"})
    EXPECT_EQ(redis_codec::decode_error(passing).code, Errc::unavailable) << passing;
  for (const char* ours :
       {"ERR user_script:12: attempt to index a nil value", "WRONGTYPE Operation", "", "LOADINGX"})
    EXPECT_EQ(redis_codec::decode_error(ours).code, Errc::internal) << ours;
  EXPECT_EQ(redis_codec::decode_error("ERR \x1b[31m").text, "redis: ERR \\x1b[31m") << "safe to log";
}

TEST(RedisCodec, answers_of_any_other_shape_are_errors_for_every_decoder) {
  const std::vector<RedisReply> hostile{
      RedisReply(),
      integer(1),
      integer(-1),
      text("ok"),
      text(""),
      error("ERR no"),
      array({}),
      array({RedisReply()}),
      array({integer(1)}),
      array({array({})}),
      array({text("OK")}),
      array({text("sure"), text("notebook/ada"), record()}),
      array({text("ok"), text("not a key"), record()}),
      array({text("ok"), RedisReply(), record()}),
      array({text("ok"), text("notebook/ada"), array({text("state")})}),
      array({text("ok"), text("notebook/ada"), array({text("state"), RedisReply()})}),
      array({text("ok"), text("notebook/ada"), array({RedisReply(), text("x")})}),
      array({text("ok"), text("notebook/ada"), array({})}),
      array({text("ok"), text("notebook/ada"), text("ready")}),
      array({text("ok"), integer(-5), integer(-5)}),
      array({text("ok"), text("5"), array({text("notebook/ada")})}),
      array({text("ok"), text("5"), array({text("notebook/ada#x")})}),
      array({text("ok"), text("5"), array({text("#1")})}),
      array({text("ok"), text("5"), array({integer(1)})}),
      array({text("ok"), text(std::string("a\0b/c", 5)), record()}),
  };
  for (const RedisReply& reply : hostile) {
    EXPECT_FALSE(redis_codec::decode_session(reply));
    EXPECT_FALSE(redis_codec::decode_place(reply));
    EXPECT_FALSE(redis_codec::decode_beat(reply));
    EXPECT_TRUE(std::holds_alternative<Error>(redis_codec::decode_push(reply)));
  }
  for (const RedisReply& reply : hostile) {
    if (reply.elements.size() > 1) {
      EXPECT_FALSE(redis_codec::decode_due(reply));
      EXPECT_FALSE(redis_codec::decode_claim(reply));
    }
    if (reply.elements.size() > 2) {
      EXPECT_FALSE(redis_codec::decode_page(reply));
    }
  }
}

TEST(RedisCodec, empty_record_is_absent) {
  const auto session = redis_codec::decode_record(SessionKey("notebook", "ada"), array({}));
  ASSERT_TRUE(session);
  EXPECT_EQ(session.value().state, State::absent);
  EXPECT_EQ(session.value().key.text(), "notebook/ada");
}

TEST(RedisCodec, reads_a_transition_whose_reason_holds_anything) {
  const auto ready = redis_codec::decode_transition("1\tnotebook/ada\t7\tready\tnone\t[::1]:80\tuid-7\t");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready.value().generation, 7U);
  EXPECT_EQ(to_string(ready.value().endpoint), "[::1]:80");
  EXPECT_EQ(ready.value().pod_uid, "uid-7");
  const auto failed = redis_codec::decode_transition("1\ta/b\t1\tfailed\tfailed\t\t\tone\ttwo\nthree");
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed.value().reason, "one\ttwo\nthree");
}

TEST(RedisCodec, malformed_transitions_are_refused) {
  for (const char* line :
       {"", "\t", "1", "nonsense", "1\tnotebook/ada\t7\tready\tnone\t[::1]:80\tuid-7",
        "2\tnotebook/ada\t7\tready\tnone\t[::1]:80\tuid-7\t",
        "1\tnotebook\t7\tready\tnone\t[::1]:80\tuid-7\t",
        "1\tnotebook/ada\t-7\tready\tnone\t[::1]:80\tuid-7\t",
        "1\tnotebook/ada\t7\tgone\tnone\t[::1]:80\tuid-7\t",
        "1\tnotebook/ada\t7\tready\twhy\t[::1]:80\tuid-7\t", "1\tnotebook/ada\t7\tready\tnone\t\tuid-7\t",
        "1\tnotebook/ada\t7\tready\tnone\tlocalhost:1\tuid-7\t",
        "1\tnotebook/ada\t7\tready\tnone\t[::1]:80\t\t",
        "1\tNotebook/ada\t7\tready\tnone\t[::1]:80\tuid-7\t"})
    EXPECT_FALSE(redis_codec::decode_transition(line)) << line;
}

TEST(RedisCodec, random_lines_never_crash_it) {
  std::mt19937 random(7);
  const std::string alphabet = "1\t/a-#:0readyfailednonelost\n\xff";
  for (int i = 0; i < 20'000; ++i) {
    std::string line = i % 2 == 0 ? "1\ta/b\t1\t" : "";
    const auto size = random() % 40;
    for (unsigned j = 0; j < size; ++j) line += alphabet[random() % alphabet.size()];
    (void)redis_codec::decode_transition(line);
  }
}

TEST(RedisReader, reads_replies_that_arrive_byte_by_byte) {
  RedisReader reader;
  const std::string bytes = "*3\r\n$2\r\nok\r\n:5\r\n*2\r\n$-1\r\n-ERR x\r\n+OK\r\n";
  std::vector<RedisReply> replies;
  for (const char c : bytes) {
    reader.feed({&c, 1});
    auto next = reader.next();
    ASSERT_TRUE(next);
    if (next.value()) replies.push_back(*next.value());
  }
  ASSERT_EQ(replies.size(), 2U);
  ASSERT_EQ(replies[0].elements.size(), 3U);
  EXPECT_EQ(replies[0].elements[0].text, "ok");
  EXPECT_EQ(replies[0].elements[1].integer, 5);
  EXPECT_EQ(replies[0].elements[2].elements[0].kind, Kind::nil);
  EXPECT_EQ(replies[0].elements[2].elements[1].kind, Kind::error);
  EXPECT_EQ(replies[1].text, "OK");
}

TEST(RedisReader, what_is_not_the_protocol_is_an_error) {
  for (const std::string bytes :
       {"HTTP/1.1 400 Bad Request\r\n", "*2000000000\r\n", "*99999999999999\r\n", "$99999999999999999999\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"}) {
    RedisReader reader;
    reader.feed(bytes);
    const auto next = reader.next();
    EXPECT_FALSE(next) << bytes;
  }
}

TEST(RedisReader, random_bytes_never_crash_it) {
  std::mt19937 random(11);
  const std::string alphabet = "*$:+-0123456789\r\n\r\nab";
  for (int i = 0; i < 5'000; ++i) {
    RedisReader reader;
    std::string bytes;
    const auto size = random() % 60;
    for (unsigned j = 0; j < size; ++j) bytes += alphabet[random() % alphabet.size()];
    reader.feed(bytes);
    for (;;) {
      const auto next = reader.next();
      if (!next || !next.value()) break;
    }
  }
}

TEST(RedisReader, formats_words_with_any_bytes) {
  using namespace std::string_literals;
  EXPECT_EQ(format_redis_command({"SET", "a\0b\r\n"s, ""}),
            "*3\r\n$3\r\nSET\r\n$5\r\na\0b\r\n\r\n$0\r\n\r\n"s);
}

}  // namespace
}  // namespace alcove
