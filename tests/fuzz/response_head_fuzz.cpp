// What a pod answers, and what a client receives of it (rules 1, 4, 6 to 9, 18): interim responses, the final
// head, its body, parsed, rewritten and framed anew by the product's own code.
//   - the client's bytes mean to a strict reader and to every sloppy one exactly what Alcove meant;
//   - an answer that the pod cut short looks cut short to the client too;
//   - an HTTP/1.0 client gets no 1xx and no chunks; a pod sets no cookie of Alcove's and no field of its own;
//   - the pieces in which the bytes arrive change nothing.
// Options: A the client speaks HTTP/1.0; B it asked with HEAD; C for a WebSocket; D its connection ends after
// this; E the pod's connection breaks (else it ends in order).
#include "proxy/head_rules.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/sloppy_reader.hpp"
#include "tests/fuzz/strict_reader.hpp"
#include "tests/fuzz/wire.hpp"

namespace alcove::fuzz {
namespace {

constexpr std::size_t kBuffer = 4096;
constexpr proxy::HeadLimits kLimits{kBuffer, 24};
constexpr std::string_view kCookie = "alcove_dev";

struct Client {
  bool http11, asked_head, asked_websocket, keep_alive, pod_breaks;
  explicit Client(const Input& input)
      : http11(!input.option(0)),
        asked_head(input.option(1)),
        asked_websocket(input.option(2) && http11),
        keep_alive(!input.option(3)),
        pod_breaks(input.option(4)) {}
};

struct Passed {
  std::vector<Message> meant;
  std::string wire;     // what the client receives
  bool ended = false;   // with a whole final answer
  bool keeps = false;   // the client is told that the connection goes on
  std::string refused;  // why nothing more of the pod is passed on
};

bool read_head(Arrival& pod, Passed& out, std::size_t& end) {
  std::size_t line = 0;
  for (;;) {
    switch (proxy::find_head_end(pod.in().view(), line, end)) {
      case proxy::HeadScan::complete:
        return true;
      case proxy::HeadScan::malformed:
        out.refused = "malformed";
        return false;
      case proxy::HeadScan::incomplete:
        if (!pod.more()) return false;
    }
  }
}

// As relay passes an answer on.
Passed pass(std::string_view sent, Cuts cuts, const Client& client) {
  Passed out;
  Arrival pod(sent, cuts, kBuffer);
  proxy::ResponseHead head;
  std::size_t end = 0;
  while (read_head(pod, out, end)) {
    const std::string_view bytes = pod.in().view().substr(0, end);
    if (const auto failure = proxy::parse_response_head(bytes, kLimits, client.asked_head, head)) {
      require(failure->side == Side::pod && failure->status == 502, "a refused answer is the pod's failure",
              failure->text);
      require(printable(failure->text, failure->text.size()) == failure->text,
              "what is wrong is said in printable text", failure->text);
      out.refused = failure->text;
      return out;
    }
    if (head.status == 101 && !(client.asked_websocket && head.websocket)) {
      out.refused = "101 without being asked";
      return out;
    }
    Message message;
    message.status = head.status;
    proxy::ResponseRules rules;
    rules.client_http11 = client.http11;
    rules.private_cookie = kCookie;
    if (head.status < 200 && head.status != 101) {
      if (client.http11) {
        proxy::write_response_head(head, rules, out.wire);
        message.whole = true;
        out.meant.push_back(std::move(message));
      }
      pod.in().consume(end);
      continue;
    }

    proxy::BodyReader download(head.body);
    const proxy::AnswerFraming framing = proxy::answer_framing(head.body, client.http11);
    rules.keep_alive = client.keep_alive && framing != proxy::AnswerFraming::until_close;
    rules.chunked = framing == proxy::AnswerFraming::chunked;
    proxy::write_response_head(head, rules, out.wire);
    message.body = framing == proxy::AnswerFraming::chunked       ? Message::Body::chunked
                   : framing == proxy::AnswerFraming::until_close ? Message::Body::until_close
                                                                  : body_of(head.body);
    message.length = head.body.length;
    pod.in().consume(end);
    const bool good = pass_body(pod, download, rules.chunked, message, out.wire);
    if (good && download.ends_at_close() && !client.pod_breaks) {
      proxy::Gather parts;
      proxy::ChunkSizeText size_text;
      add_piece(parts, nullptr, 0, rules.chunked, true, size_text);
      append(out.wire, parts);
      message.whole = true;
    }
    message.whole |= good && download.done();
    if (!good) out.refused = "malformed chunk";
    out.ended = message.whole;
    out.keeps = rules.keep_alive;
    out.meant.push_back(std::move(message));
    break;
  }
  return out;
}

void compare(const std::vector<Message>& meant, std::vector<Message> read, std::string_view property,
             std::string_view reader, std::string_view wire) {
  bool same = meant.size() == read.size();
  for (std::size_t i = 0; same && i < meant.size(); ++i) {
    // Where the end of the connection is the end of the body nobody can see that it came too early.
    if (meant[i].body == Message::Body::until_close) read[i].whole = meant[i].whole;
    same = same_meaning(meant[i], read[i]);
  }
  if (!same) require(false, property, reader, describe(meant), describe(read), wire);
}

// What a browser sends back of a Set-Cookie field (RFC 6265 5.2, with cookies without a name as browsers have
// them), and what the name of that is for who reads it.
std::string_view name_when_it_comes_back(std::string_view set_cookie) {
  std::string_view pair = trim(set_cookie.substr(0, set_cookie.find(';')));
  if (pair.starts_with('=')) pair = trim(pair.substr(1));
  return trim(pair.substr(0, pair.find('=')));
}

void check_fields(const Message& message, const Client& client, const Passed& passed) {
  for (const auto& [name, value] : message.fields) {
    for (const std::string_view other : {"keep-alive", "proxy-connection", "te", "trailer",
                                         "proxy-authenticate", "proxy-authorization", "http2-settings"})
      require(name != other, "no hop-by-hop field reaches a client", name);
    require(!name.starts_with("x-alcove-"), "a pod says nothing in Alcove's name", name);
    if (name == "set-cookie")
      require(name_when_it_comes_back(value) != kCookie, "a pod does not set Alcove's cookie", value);
    if (name == "upgrade")
      require(message.status == 101 && value == "websocket", "only WebSocket is an upgrade");
    if (name == "connection")
      require(value == (message.status == 101 ? "Upgrade"
                        : passed.keeps        ? "keep-alive"
                                              : "close"),
              "Connection is Alcove's", value);
  }
  require(message.count("connection") <= 1 && message.count("via") >= 1, "one Connection, a Via");
  require(message.count("content-length") + message.count("transfer-encoding") <= 1, "one framing");
  if (!client.http11) {
    require(message.count("transfer-encoding") == 0 && message.status >= 200,
            "HTTP/1.0 clients get no chunks and no 1xx");
    require((message.count("connection") == 1), "HTTP/1.0 clients are told whether the connection goes on");
  }
  if (message.status >= 200 && client.http11)
    require(passed.keeps == (message.count("connection") == 0), "a connection that ends is said to end");
}

}  // namespace
}  // namespace alcove::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alcove::fuzz;
  const Input input(data, size);
  const Client client(input);
  const Asked asked{client.asked_head};

  const Passed at_once = pass(input.text(), Cuts(), client);
  const Reading strict = read_responses_strictly(at_once.wire, asked);
  require(strict.refused.empty(), "a strict reader takes what Alcove writes", strict.refused, at_once.wire);
  compare(at_once.meant, strict.messages, "the client reads what Alcove meant", "strict", at_once.wire);
  for (const Habits& habits : kSloppy) {
    if (habits.underscores) continue;  // a habit of servers
    compare(at_once.meant, read_responses_sloppily(at_once.wire, habits, asked),
            "a sloppy client reads what Alcove meant", habits.name, at_once.wire);
  }
  for (const Message& message : strict.messages) check_fields(message, client, at_once);

  const Passed in_pieces = pass(input.text(), input.cuts(), client);
  bool same = at_once.meant.size() == in_pieces.meant.size() && at_once.ended == in_pieces.ended &&
              at_once.refused == in_pieces.refused;
  for (std::size_t i = 0; same && i < at_once.meant.size(); ++i)
    same = same_so_far(at_once.meant[i], in_pieces.meant[i]);
  require(same, "pieces change nothing", describe(at_once.meant), at_once.refused, describe(in_pieces.meant),
          in_pieces.refused);
  compare(in_pieces.meant, read_responses_strictly(in_pieces.wire, asked).messages,
          "the client reads what Alcove meant, in pieces", "strict", in_pieces.wire);
  return 0;
}
