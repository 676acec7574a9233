// What a Redis server sends (store/redis_reader, store/redis_codec), and what we send to it.
//   - replies are the same however the bytes are cut, and a refusal is for good;
//   - what a decoder accepts says only what it can mean: valid keys, states, endpoints; everything else is
//     an error;
//   - what was decoded, record or transition, is decoded again from what the scripts would write of it;
//   - a command that is formatted is read back as its words.
// Options: A the text is the words of a command, a line each; B it is a pushed transition; else replies.
#include "store/redis_codec.hpp"
#include "store/redis_reader.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/input.hpp"

namespace alcove::fuzz {
namespace {

using Kind = RedisReply::Kind;

bool same(const RedisReply& a, const RedisReply& b) {
  return a.kind == b.kind && a.integer == b.integer && a.text == b.text &&
         std::equal(a.elements.begin(), a.elements.end(), b.elements.begin(), b.elements.end(), same);
}

struct Read {
  std::vector<RedisReply> replies;
  bool refused = false;
};

Read read(std::string_view bytes, Cuts cuts) {
  Read out;
  RedisReader reader;
  while (!bytes.empty() && !out.refused) {
    const std::size_t size = cuts.next(bytes.size());
    const std::string piece(bytes.substr(0, size));
    bytes.remove_prefix(size);
    reader.feed(piece);
    for (;;) {
      auto next = reader.next();
      if (!next) {
        require(next.error().code == Errc::unavailable && !next.error().text.empty(), "a refusal says why");
        require(!reader.next(), "a refusal is for good");
        out.refused = true;
        break;
      }
      if (!next.value()) break;
      out.replies.push_back(std::move(*next.value()));
    }
  }
  return out;
}

RedisReply text(std::string value) {
  RedisReply reply;
  reply.kind = Kind::string;
  reply.text = std::move(value);
  return reply;
}

RedisReply list(std::vector<RedisReply> elements) {
  RedisReply reply;
  reply.kind = Kind::array;
  reply.elements = std::move(elements);
  return reply;
}

// A record as the scripts write it.
RedisReply record_of(const Session& s) {
  std::vector<RedisReply> out;
  const auto put = [&out](const char* name, std::string value) {
    out.push_back(text(name));
    out.push_back(text(std::move(value)));
  };
  const auto time = [](WallTime at) { return std::to_string(to_unix_ms(at)); };
  put("app", s.app);
  put("user", s.user);
  put("state", std::string(name_of(s.state)));
  put("cause", std::string(name_of(s.cause)));
  put("ep", to_string(s.endpoint));
  put("gen", std::to_string(s.generation));
  put("uid", s.pod_uid);
  put("reason", s.reason);
  put("wanted", s.wanted ? "1" : "0");
  put("pinned", s.pinned ? "1" : "0");
  put("fails", std::to_string(s.failures));
  put("idle", std::to_string(s.policy.idle_timeout.count()));
  put("life", std::to_string(s.policy.max_lifetime.count()));
  put("grace", std::to_string(s.policy.drain_grace.count()));
  put("stop", std::to_string(s.policy.stop_grace.count()));
  put("created", time(s.created));
  put("ready", time(s.ready_since));
  put("changed", time(s.changed));
  put("active", time(s.last_activity));
  put("what", s.activity);
  put("retry", time(s.retry_at));
  put("due", time(s.due));
  return list(std::move(out));
}

bool same_session(const Session& a, const Session& b) {
  const RedisReply first = record_of(a);
  const RedisReply second = record_of(b);
  return a.key == b.key && same(first, second);
}

void check_key(const SessionKey& key) {
  const auto parsed = SessionKey::parse(key.text());
  require(parsed && *parsed == key, "a key that was decoded is one", key.text());
}

void check_session(const Session& session) {
  check_key(session.key);
  const auto again =
      redis_codec::decode_session(list({text("ok"), text(session.key.text()), record_of(session)}));
  require(again && same_session(*again, session), "a record is read back", session.key.text(),
          again ? "" : again.error().text);
}

void check_error(const Error& error) {
  require(error.code == Errc::internal || error.code == Errc::unavailable || error.code == Errc::invalid ||
              error.code == Errc::not_found || error.code == Errc::stale || error.code == Errc::busy,
          "an answer that is not understood is one of our errors", error.text);
}

template <class T>
bool good(const Result<T>& result) {
  if (!result) check_error(result.error());
  return result.has_value();
}

void check_transition(const Transition& t) {
  check_key(t.key);
  if (t.state == State::ready) require(!t.pod_uid.empty(), "who is ready has a UID");
  std::string line = "1\t" + t.key.text() + "\t" + std::to_string(t.generation) + "\t";
  line.append(name_of(t.state)).append(1, '\t').append(name_of(t.cause)).append(1, '\t');
  if (t.state == State::ready) line += to_string(t.endpoint);
  line += "\t" + t.pod_uid + "\t" + t.reason;
  const auto again = redis_codec::decode_transition(line);
  require(again && again->key == t.key && again->generation == t.generation && again->state == t.state &&
              again->cause == t.cause && again->endpoint == t.endpoint && again->pod_uid == t.pod_uid &&
              again->reason == t.reason,
          "a transition is read back", line);
}

void check_decoders(const RedisReply& reply) {
  good(redis_codec::decode_ok(reply));
  good(redis_codec::decode_place(reply));
  if (const auto session = redis_codec::decode_session(reply); good(session)) check_session(*session);
  if (const auto claim = redis_codec::decode_claim(reply); good(claim) && *claim) check_session(**claim);
  if (const auto beat = redis_codec::decode_beat(reply); good(beat))
    for (const auto& [key, generation] : beat->draining) check_key(key);
  if (const auto keys = redis_codec::decode_keys(reply); good(keys))
    for (const SessionKey& key : *keys) check_key(key);
  if (const auto due = redis_codec::decode_due(reply); good(due))
    for (const Due& one : *due) check_session(one.session);
  if (const auto page = redis_codec::decode_page(reply); good(page))
    for (const Session& session : page->sessions) check_session(session);
  if (const auto record = redis_codec::decode_record(SessionKey("notebook", "ada"), reply); good(record))
    check_session(*record);
  const redis_codec::Push push = redis_codec::decode_push(reply);
  if (const auto* transition = std::get_if<Transition>(&push)) check_transition(*transition);
  if (const auto* error = std::get_if<Error>(&push)) check_error(*error);
  if (reply.kind == Kind::error) {
    const Error error = redis_codec::decode_error(reply.text);
    require(printable(error.text, error.text.size()) == error.text, "a server's error is shown printable",
            error.text);
  }
}

void check_command(std::string_view lines) {
  RedisArgv words;
  while (!lines.empty()) {
    words.emplace_back(lines.substr(0, lines.find('\n')));
    lines.remove_prefix(std::min(words.back().size() + 1, lines.size()));
  }
  if (words.empty()) return;
  const std::string command = format_redis_command(words);
  const Read back = read(command, Cuts());
  require(!back.refused && back.replies.size() == 1 && back.replies[0].elements.size() == words.size(),
          "a command is read back", command);
  for (std::size_t i = 0; i < words.size(); ++i)
    require(back.replies[0].elements[i].text == words[i], "each word of a command is read back", command);
}

}  // namespace
}  // namespace alcove::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alcove::fuzz;
  using namespace alcove;
  const Input input(data, size);
  if (input.option(0)) {
    check_command(input.text());
  } else if (input.option(1)) {
    const auto transition = redis_codec::decode_transition(input.text());
    if (transition)
      check_transition(*transition);
    else
      check_error(transition.error());
  } else {
    const Read at_once = read(input.text(), Cuts());
    const Read in_pieces = read(input.text(), input.cuts());
    require(at_once.refused == in_pieces.refused &&
                std::equal(at_once.replies.begin(), at_once.replies.end(), in_pieces.replies.begin(),
                           in_pieces.replies.end(), same),
            "pieces change nothing", input.text());
    for (const RedisReply& reply : at_once.replies) check_decoders(reply);
  }
  return 0;
}
