// What a client sends, and what a pod receives of it (rules 1 to 5, 8, 16 to 18 of the HTTP rules): several
// requests on one connection, parsed, routed, rewritten and framed anew by the product's own code.
//   - the pod's bytes mean to a strict reader and to every sloppy one exactly what Alcove meant: no request
//     smuggling by disagreement;
//   - readers in front of Alcove, strict and sloppy, understand the client's bytes as Alcove does;
//   - what reaches the pod is ours where it has to be: hop-by-hop fields, X-Forwarded-*, cookie, identity;
//   - the pieces in which the bytes arrive change nothing.
// Options: A a trusted proxy sends this; B over TLS.
#include "proxy/head_rules.hpp"
#include "proxy/route.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/sloppy_reader.hpp"
#include "tests/fuzz/strict_reader.hpp"
#include "tests/fuzz/wire.hpp"

#include <memory>

namespace alcove::fuzz {
namespace {

constexpr std::size_t kBuffer = 4096;
constexpr proxy::HeadLimits kLimits{2048, 24};
constexpr std::string_view kCookie = "alcove_dev";
constexpr std::string_view kPeer = "192.0.2.7";
constexpr std::string_view kUser = "ada";
constexpr std::string_view kJwt = "a.signed.word";
const std::vector<std::string> kPrivateHeaders{"x-user-id"};

SettingsPtr settings() {
  auto out = std::make_shared<Settings>();
  AppSettings by_host;
  by_host.name = "demo";
  AppSettings by_path;
  by_path.name = "cut";
  by_path.path = "/cut/";
  by_path.strip_path = true;
  by_path.host_header = "internal.example:81";
  AppSettings any;
  any.name = "any";
  any.path = "/";
  out->apps = {by_host, by_path, any};
  return out;
}

struct Passed {
  std::vector<Message> taken;  // every request that was understood, as the client sent it
  std::vector<Message> meant;  // those that go to a pod, as they go there
  std::string wire;            // what the pod receives
  bool oversized = false;      // it ended with a head that was too large
  std::string refused;         // why it ended otherwise
};

enum class Head : std::uint8_t { found, none };

// As client_conn reads a head.
Head read_head(Arrival& client, Passed& out, std::size_t& end) {
  std::size_t line = 0;
  bool started = false;
  for (;;) {
    while (!started && client.in().view().starts_with("\r\n")) client.in().consume(2);
    if (!client.in().empty()) {
      started = client.in().view().front() != '\r';
      switch (proxy::find_head_end(client.in().view(), line, end)) {
        case proxy::HeadScan::complete:
          if (end <= kLimits.bytes) return Head::found;
          out.oversized = true;
          break;
        case proxy::HeadScan::malformed:
          out.refused = "malformed";
          return Head::none;
        case proxy::HeadScan::incomplete:
          out.oversized = client.in().size() >= kLimits.bytes;
          break;
      }
      if (out.oversized) {
        const Failure failure = proxy::oversized_head(client.in().view(), kLimits);
        require(failure.status == 431 || failure.status == 414, "an oversized head is 431 or 414");
        return Head::none;
      }
    }
    if (!client.more()) return Head::none;
  }
}

proxy::RequestRules rules_for(const Input& input, const proxy::Route& route) {
  proxy::RequestRules rules;
  rules.peer_trusted = input.option(0);
  rules.tls = input.option(1);
  rules.peer_address = kPeer;
  rules.port = 8080;
  rules.request_id = "0123456789abcdef";
  rules.host = route.app->host_header;
  rules.identity_header = route.app->identity_header;
  rules.user = kUser;
  rules.jwt_header = route.app->identity_jwt.header;
  rules.jwt = kJwt;
  rules.private_cookie = kCookie;
  rules.private_headers = &kPrivateHeaders;
  rules.strip = route.strip;
  return rules;
}

// As exchange and relay pass requests on, one after the other.
Passed pass(const Input& input, Cuts cuts) {
  static const proxy::Router router(settings());
  Passed out;
  Arrival client(input.text(), cuts, kBuffer);
  proxy::RequestHead head;
  std::size_t end = 0;
  while (read_head(client, out, end) == Head::found) {
    if (const auto failure = proxy::parse_request_head(client.in().view().substr(0, end), kLimits, head)) {
      require(failure->side == Side::client && failure->status >= 400 && failure->status < 600,
              "a refused head is the client's failure", failure->text);
      require(printable(failure->text, failure->text.size()) == failure->text,
              "what is wrong is said in printable text", failure->text);
      out.refused = failure->text;
      break;
    }
    Message message;
    message.method = head.method;
    message.target = head.target;
    message.fields.emplace_back("host", head.host);
    message.body = body_of(head.body);
    message.length = head.body.length;

    const proxy::Route route = router.route(head.host, head.path);
    if (route.kind == proxy::Route::Kind::malformed) {
      out.refused = "malformed host";
      break;
    }
    Message forwarded = message;
    const bool to_pod = route.kind == proxy::Route::Kind::app;
    std::string wire;
    if (to_pod) {
      const proxy::RequestRules rules = rules_for(input, route);
      proxy::write_request_head(head, rules, wire);
      forwarded.target = head.path.substr(rules.strip);
      if (forwarded.target != "*" && !forwarded.target.starts_with('/')) forwarded.target.insert(0, "/");
      forwarded.fields[0].second = rules.host.empty() ? head.host : rules.host;
    }
    const bool keep_alive = head.keep_alive;
    proxy::BodyReader upload(head.body);
    client.in().consume(end);
    const bool good = pass_body(client, upload, head.body.kind == proxy::BodyKind::chunked, message, wire);
    message.whole = good && upload.done();
    const bool whole = message.whole;
    if (to_pod) {
      forwarded.content = message.content;
      forwarded.whole = whole;
      out.meant.push_back(std::move(forwarded));
      out.wire += wire;
    }
    out.taken.push_back(std::move(message));
    if (!good) out.refused = "malformed chunk";
    if (!whole || !keep_alive) break;
  }
  return out;
}

void compare(const std::vector<Message>& meant, const std::vector<Message>& read, std::string_view property,
             std::string_view reader, std::string_view bytes,
             bool (*same_message)(const Message&, const Message&) = same_meaning) {
  bool same = meant.size() == read.size();
  for (std::size_t i = 0; same && i < meant.size(); ++i) same = same_message(meant[i], read[i]);
  if (!same) require(false, property, reader, describe(meant), describe(read), bytes);
}

// What somebody in front of Alcove would have understood of the same bytes.
void check_client_side(const Passed& passed, std::string_view sent) {
  const Reading strict = read_requests_strictly(sent);
  for (std::size_t i = 0; i < passed.taken.size(); ++i) {
    const Message& taken = passed.taken[i];
    require(i < strict.messages.size(), "Alcove takes nothing that a strict reader refuses", strict.refused,
            describe(taken), sent);
    Message read = strict.messages[i];
    if (taken.target.find("://") != std::string::npos || !read.find("host"))
      read.fields.insert(read.fields.begin(),
                         {"host", std::string(host_of(taken))});  // the target's is meant
    // Alcove's bounds on chunks are its own: what it gives up in the middle others may read to the end.
    if (!taken.whole && !passed.refused.empty()) read.whole = false;
    require(same_so_far(taken, read), "a strict reader in front understands the same", describe(taken),
            describe(read), sent);
  }
  for (const Habits& habits : kSloppy) {
    if (habits.underscores) continue;  // a habit of those who run programs, not of those who stand in front
    const std::vector<Message> read = read_requests_sloppily(sent, habits);
    for (std::size_t i = 0; i < passed.taken.size() && passed.taken[i].whole; ++i) {
      const Message& taken = passed.taken[i];
      require(i < read.size() && taken.body == read[i].body && taken.content == read[i].content,
              "a sloppy reader in front frames the same", habits.name, describe(taken), describe(read), sent);
    }
  }
}

bool is_hop_by_hop(std::string_view name) {
  for (const std::string_view other : {"keep-alive", "proxy-connection", "te", "trailer",
                                       "proxy-authorization", "proxy-authenticate", "http2-settings"})
    if (name == other) return true;
  return false;
}

// As many pods see a name: the same variable of CGI or WSGI.
std::string as_variable(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '_' ? '-' : lower(c);
  return out;
}

void check_cookies(std::string_view line) {
  static const std::string ours = as_variable(kCookie);
  while (!line.empty()) {
    const auto end = std::min(line.find_first_of(";,"), line.size());
    const std::string_view pair = line.substr(0, end);
    require(as_variable(trim(pair.substr(0, pair.find('=')))) != ours, "Alcove's cookie never reaches a pod",
            line);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
}

// What says how a request came here: from strangers it is dropped.
bool is_forwarding(std::string_view variable) {
  return variable.starts_with("x-forwarded-") || variable == "forwarded" || variable == "x-real-ip" ||
         variable == "x-request-id" || variable == "via";
}

void check_fields(const Message& message, bool trusted, bool tls) {
  for (const auto& [name, value] : message.fields) {
    const std::string variable = as_variable(name);
    require(!is_hop_by_hop(variable), "no hop-by-hop field reaches a pod", name);
    if (variable.starts_with("x-alcove-"))
      require((name == "x-alcove-user" && value == kUser) || (name == "x-alcove-jwt" && value == kJwt),
              "identity fields are Alcove's", name, value);
    require(variable != "x-user-id", "the trusted header never reaches a pod", name, value);
    if (name == "connection")
      require(value == "Upgrade" && message.count("upgrade") == 1, "Connection is Alcove's", value);
    if (name == "upgrade") require(value == "websocket", "only WebSocket is an upgrade", value);
    if (name == "cookie") check_cookies(value);
    if (name.find('_') != std::string::npos)
      require(!is_forwarding(variable) && variable != "content-length" && variable != "transfer-encoding",
              "no alias with _ of a guarded name reaches a pod", name);
  }
  for (const std::string_view name :
       {"host", "x-alcove-user", "x-alcove-jwt", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
        "x-forwarded-port", "x-request-id"})
    require(message.count(name) == 1, "what Alcove says comes once", name);
  require(message.count("connection") <= 1 && message.count("upgrade") == message.count("connection"),
          "Connection and Upgrade come together");
  require(message.count("cookie") <= 1, "there is one line of cookies");
  require(message.count("content-length") + message.count("transfer-encoding") <= 1, "there is one framing");

  const std::string& from = *message.find("x-forwarded-for");
  if (trusted) return require(from.ends_with(kPeer), "the peer's address is the last", from);
  require(from == kPeer && *message.find("x-forwarded-proto") == (tls ? "https" : "http") &&
              *message.find("x-forwarded-port") == "8080" &&
              *message.find("x-request-id") == "0123456789abcdef" && message.count("via") == 1 &&
              message.count("forwarded") + message.count("x-real-ip") == 0,
          "strangers do not say how they came");
}

void check_pod_side(const Passed& passed, const Input& input) {
  const Reading strict = read_requests_strictly(passed.wire);
  require(strict.refused.empty(), "a strict reader takes what Alcove writes", strict.refused, passed.wire,
          input.text());
  compare(passed.meant, strict.messages, "the pod reads what Alcove meant", "strict", passed.wire);
  for (const Habits& habits : kSloppy)
    compare(passed.meant, read_requests_sloppily(passed.wire, habits), "a sloppy pod reads what Alcove meant",
            habits.name, passed.wire);
  for (const Message& message : strict.messages) check_fields(message, input.option(0), input.option(1));
}

}  // namespace
}  // namespace alcove::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alcove::fuzz;
  const Input input(data, size);
  const Passed at_once = pass(input, Cuts());
  check_pod_side(at_once, input);
  check_client_side(at_once, input.text());

  const Passed in_pieces = pass(input, input.cuts());
  compare(at_once.taken, in_pieces.taken, "pieces change nothing of what is understood", "", input.text(),
          same_so_far);
  compare(at_once.meant, read_requests_strictly(in_pieces.wire).messages,
          "pieces change nothing of what is passed on", "", in_pieces.wire, same_so_far);
  if (!at_once.oversized && !in_pieces.oversized)
    require(at_once.refused == in_pieces.refused, "pieces change nothing of what is refused", at_once.refused,
            in_pieces.refused);
  return 0;
}
