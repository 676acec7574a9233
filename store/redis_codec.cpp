#include "store/redis_codec.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <initializer_list>
#include <unordered_map>

namespace alcove::redis_codec {
namespace {

using Kind = RedisReply::Kind;
using Fields = std::unordered_map<std::string_view, std::string_view>;

Error malformed(std::string_view what) {
  return {Errc::internal, fmt::format("the store's answer is not understood: {}", what)};
}

void add_policy(RedisArgv& args, const SessionPolicy& policy) {
  for (const Millis time : {policy.idle_timeout, policy.max_lifetime, policy.drain_grace, policy.stop_grace})
    args.push_back(std::to_string(time.count()));
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<std::int64_t> number(const RedisReply& reply) {
  if (reply.kind == Kind::integer && reply.integer >= 0) return reply.integer;
  if (reply.kind == Kind::string) return number(reply.text);
  return std::nullopt;
}

std::optional<Errc> errc_from(std::string_view name) {
  for (const Errc code : {Errc::invalid, Errc::not_found, Errc::stale, Errc::busy})
    if (name == name_of(code)) return code;
  return std::nullopt;
}

Result<Fields> fields_of(const RedisReply& reply) {
  if (reply.kind != Kind::array || reply.elements.size() % 2 != 0)
    return malformed("a record is no list of pairs");
  Fields fields;
  for (std::size_t i = 0; i < reply.elements.size(); i += 2) {
    const RedisReply& name = reply.elements[i];
    const RedisReply& value = reply.elements[i + 1];
    if (name.kind != Kind::string || value.kind != Kind::string)
      return malformed("a field of a record is no text");
    fields[name.text] = value.text;
  }
  return fields;
}

// Reads the fields of a record one by one and remembers the first that is wrong.
class FieldReader {
 public:
  explicit FieldReader(const Fields& fields) : fields_(fields) {}

  std::string_view text(std::string_view name) const {
    const auto found = fields_.find(name);
    return found == fields_.end() ? std::string_view() : found->second;
  }
  std::int64_t integer(std::string_view name) {
    const std::string_view value = text(name);
    if (value.empty()) return 0;
    const auto parsed = number(value);
    if (!parsed) note(name, value);
    return parsed.value_or(0);
  }
  Millis millis(std::string_view name) { return Millis{integer(name)}; }
  WallTime time(std::string_view name) { return from_unix_ms(integer(name)); }
  void note(std::string_view name, std::string_view value) {
    if (wrong_.empty()) wrong_ = fmt::format("{} is \"{}\"", name, printable(value, 64));
  }
  const std::string& wrong() const { return wrong_; }

 private:
  const Fields& fields_;
  std::string wrong_;
};

Result<Session> decode_fields(const SessionKey& key, const Fields& fields) {
  FieldReader in(fields);
  Session s;
  s.key = key;
  s.app = in.text("app");
  s.user = in.text("user");
  const auto state = state_from(in.text("state"));
  if (!state) in.note("state", in.text("state"));
  s.state = state.value_or(State::absent);
  const auto cause = end_cause_from(in.text("cause"));
  if (!cause) in.note("cause", in.text("cause"));
  s.cause = cause.value_or(EndCause::none);
  if (const std::string_view endpoint = in.text("ep"); !endpoint.empty()) {
    if (const auto parsed = parse_endpoint(endpoint))
      s.endpoint = parsed.value();
    else
      in.note("ep", endpoint);
  }
  s.generation = static_cast<Generation>(in.integer("gen"));
  s.pod_uid = in.text("uid");
  s.reason = in.text("reason");
  s.wanted = in.integer("wanted") != 0;
  s.pinned = in.integer("pinned") != 0;
  s.busy_until = in.time("busy");
  s.failures = static_cast<std::uint32_t>(in.integer("fails"));
  s.policy.idle_timeout = in.millis("idle");
  s.policy.max_lifetime = in.millis("life");
  s.policy.drain_grace = in.millis("grace");
  s.policy.stop_grace = in.millis("stop");
  s.created = in.time("created");
  s.ready_since = in.time("ready");
  s.changed = in.time("changed");
  s.last_activity = in.time("active");
  s.activity = in.text("what");
  s.retry_at = in.time("retry");
  s.due = in.time("due");
  if (!in.wrong().empty()) return malformed(fmt::format("in the record of {}, {}", key.text(), in.wrong()));
  return s;
}

Result<Session> decode_keyed(const RedisReply& key, const RedisReply& fields) {
  if (key.kind != Kind::string) return malformed("a session's key is no text");
  auto parsed = SessionKey::parse(key.text);
  if (!parsed) return malformed(parsed.error().text);
  auto pairs = fields_of(fields);
  if (!pairs) return pairs.error();
  return decode_fields(parsed.value(), pairs.value());
}

// The elements after "ok", or what went wrong.
Result<const std::vector<RedisReply>*> content(const RedisReply& reply, std::size_t least) {
  if (reply.kind == Kind::error) return decode_error(reply.text);
  if (reply.kind != Kind::array || reply.elements.empty() || reply.elements[0].kind != Kind::string)
    return malformed("it has no word of success or refusal");
  const std::string& word = reply.elements[0].text;
  if (word != "ok") {
    const auto code = errc_from(word);
    if (!code) return malformed(fmt::format("it begins with \"{}\"", printable(word, 32)));
    return Error{*code, reply.elements.size() > 1 ? reply.elements[1].text : ""};
  }
  if (reply.elements.size() < least) return malformed("it is too short");
  return &reply.elements;
}

Result<Session> decode_pair(const RedisReply& pair) {
  if (pair.kind != Kind::array || pair.elements.size() != 2) return malformed("a listed session is no pair");
  return decode_keyed(pair.elements[0], pair.elements[1]);
}

}  // namespace

RedisArgv acquire_args(const AcquireRequest& request) {
  RedisArgv args{request.key.text(), request.app, request.user};
  add_policy(args, request.policy);
  args.emplace_back(request.may_start ? "1" : "0");
  return args;
}

RedisArgv marks_args(const std::vector<Beat::Mark>& marks, std::size_t from, std::size_t to) {
  RedisArgv args;
  args.reserve((to - from) * 5);
  for (std::size_t i = from; i < to; ++i) {
    args.push_back(marks[i].key.text());
    args.push_back(std::to_string(marks[i].generation));
    args.push_back(std::to_string(marks[i].age.count()));
    args.push_back(marks[i].what);
    args.push_back(marks[i].busy_for ? std::to_string(marks[i].busy_for->count()) : std::string());
  }
  return args;
}

RedisArgv beat_args(const Beat& beat, std::uint32_t most_drains) {
  return {beat.gateway, std::to_string(beat.seen), std::to_string(beat.lease.count()),
          std::to_string(most_drains)};
}

RedisArgv claim_args(const ClaimRequest& request) {
  return {request.provisioner, std::to_string(request.max_in_progress),
          std::to_string(request.lease.count())};
}

RedisArgv renew_args(const std::string& provisioner, Millis lease, const std::vector<SessionKey>& keys) {
  RedisArgv args{provisioner, std::to_string(lease.count())};
  for (const SessionKey& key : keys) args.push_back(key.text());
  return args;
}

RedisArgv publish_ready_args(const SessionKey& key, Generation generation, const Endpoint& endpoint,
                             const std::string& pod_uid) {
  return {key.text(), std::to_string(generation), to_string(endpoint), pod_uid};
}

RedisArgv publish_failed_args(const SessionKey& key, Generation generation, const std::string& reason,
                              Millis retry_in) {
  return {key.text(), std::to_string(generation), reason, std::to_string(retry_in.count())};
}

RedisArgv lost_args(const SessionKey& key, Generation generation, const std::string& pod_uid,
                    const std::string& reason) {
  return {key.text(), std::to_string(generation), pod_uid, reason};
}

RedisArgv adopt_args(const Session& pod) {
  RedisArgv args{pod.key.text(), std::to_string(pod.generation), pod.app,
                 pod.user,       to_string(pod.endpoint),        pod.pod_uid};
  add_policy(args, pod.policy);
  return args;
}

RedisArgv drain_args(const SessionKey& key, Generation generation, EndCause cause) {
  return {key.text(), std::to_string(generation), std::string(name_of(cause))};
}

RedisArgv generation_args(const SessionKey& key, Generation generation) {
  return {key.text(), std::to_string(generation)};
}

Result<void> decode_ok(const RedisReply& reply) {
  const auto found = content(reply, 1);
  if (!found) return found.error();
  return {};
}

Result<Session> decode_session(const RedisReply& reply) {
  const auto found = content(reply, 3);
  if (!found) return found.error();
  return decode_keyed((*found.value())[1], (*found.value())[2]);
}

Result<std::optional<Session>> decode_claim(const RedisReply& reply) {
  const auto found = content(reply, 1);
  if (!found) return found.error();
  if (found.value()->size() == 1) return std::optional<Session>();
  auto session = decode_session(reply);
  if (!session) return session.error();
  return std::optional<Session>(std::move(session.value()));
}

Result<QueuePlace> decode_place(const RedisReply& reply) {
  const auto found = content(reply, 3);
  if (!found) return found.error();
  const auto place = number((*found.value())[1]);
  const auto queued = number((*found.value())[2]);
  if (!place || !queued) return malformed("a place in the queue is no number");
  return QueuePlace{static_cast<std::uint64_t>(*place), static_cast<std::uint64_t>(*queued)};
}

Result<BeatReply> decode_beat(const RedisReply& reply) {
  const auto found = content(reply, 3);
  if (!found) return found.error();
  const auto epoch = number((*found.value())[1]);
  const RedisReply& drains = (*found.value())[2];
  if (!epoch || drains.kind != Kind::array) return malformed("it has no epoch and drains");
  BeatReply result;
  result.epoch = static_cast<std::uint64_t>(*epoch);
  for (const RedisReply& drain : drains.elements) {
    const std::size_t hash = drain.text.find('#');
    if (drain.kind != Kind::string || hash == std::string::npos)
      return malformed("a drain is not key#generation");
    auto key = SessionKey::parse(std::string_view(drain.text).substr(0, hash));
    const auto generation = number(std::string_view(drain.text).substr(hash + 1));
    if (!key || !generation) return malformed("a drain is not key#generation");
    result.draining.emplace_back(std::move(key.value()), static_cast<Generation>(*generation));
  }
  return result;
}

Result<std::vector<SessionKey>> decode_keys(const RedisReply& reply) {
  const auto found = content(reply, 1);
  if (!found) return found.error();
  std::vector<SessionKey> keys;
  for (std::size_t i = 1; i < found.value()->size(); ++i) {
    auto key = SessionKey::parse((*found.value())[i].text);
    if (!key) return malformed(key.error().text);
    keys.push_back(std::move(key.value()));
  }
  return keys;
}

Result<std::vector<Due>> decode_due(const RedisReply& reply) {
  const auto found = content(reply, 1);
  if (!found) return found.error();
  std::vector<Due> result;
  for (std::size_t i = 1; i < found.value()->size(); ++i) {
    auto session = decode_pair((*found.value())[i]);
    if (!session) return session.error();
    result.push_back({std::move(session.value())});
  }
  return result;
}

Result<Store::Page> decode_page(const RedisReply& reply) {
  const auto found = content(reply, 2);
  if (!found) return found.error();
  Store::Page page;
  page.cursor = (*found.value())[1].text;
  for (std::size_t i = 2; i < found.value()->size(); ++i) {
    auto session = decode_pair((*found.value())[i]);
    if (!session) return session.error();
    page.sessions.push_back(std::move(session.value()));
  }
  return page;
}

Result<Session> decode_record(const SessionKey& key, const RedisReply& fields) {
  if (fields.kind == Kind::error) return decode_error(fields.text);
  auto pairs = fields_of(fields);
  if (!pairs) return pairs.error();
  if (pairs.value().empty()) {
    Session none;
    none.key = key;
    return none;
  }
  return decode_fields(key, pairs.value());
}

Error decode_error(std::string_view text) {
  static constexpr std::array<std::string_view, 14> kPassing{
      "LOADING",  "READONLY",    "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM",       "BUSY",
      "TRYAGAIN", "CLUSTERDOWN", "MOVED",      "ASK",     "NOAUTH",     "WRONGPASS", "NOPERM"};
  const std::string shown = "redis: " + printable(text, 300);
  const std::string_view word = text.substr(0, text.find(' '));
  for (const std::string_view passing : kPassing)
    if (word == passing) return {Errc::unavailable, shown};
  return {Errc::internal, shown};
}

Push decode_push(const RedisReply& reply) {
  if (reply.kind != Kind::array || reply.elements.empty() || reply.elements[0].kind != Kind::string)
    return malformed("a push is no list");
  const std::string& word = reply.elements[0].text;
  if (word == "pong" || word == "subscribe") return NoPush{};
  if (word != "message" || reply.elements.size() != 3 || reply.elements[2].kind != Kind::string)
    return malformed("a push is no message");
  auto transition = decode_transition(reply.elements[2].text);
  if (!transition) return transition.error();
  return std::move(transition.value());
}

Result<Transition> decode_transition(std::string_view line) {
  std::array<std::string_view, 8> parts;  // version, key, generation, state, cause, endpoint, UID, reason
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) return malformed("a transition has too few parts");
    parts[i] = line.substr(0, tab);
    line.remove_prefix(tab + 1);
  }
  parts.back() = line;  // the reason may hold anything, tabs too
  if (parts[0] != "1") return malformed("a transition of another version");
  auto key = SessionKey::parse(parts[1]);
  const auto generation = number(parts[2]);
  const auto state = state_from(parts[3]);
  const auto cause = end_cause_from(parts[4]);
  if (!key || !generation || !state || !cause)
    return malformed("a transition's key, generation, state or cause");
  Transition t;
  t.key = std::move(key.value());
  t.generation = static_cast<Generation>(*generation);
  t.state = *state;
  t.cause = *cause;
  if (t.state == State::ready) {
    const auto endpoint = parse_endpoint(parts[5]);
    if (!endpoint || parts[6].empty()) return malformed("a ready transition without endpoint and UID");
    t.endpoint = endpoint.value();
    t.pod_uid = parts[6];
  }
  t.reason = parts[7];
  return t;
}

}  // namespace alcove::redis_codec
