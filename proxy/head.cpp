#include "proxy/head.hpp"

#include "base/text.hpp"
#include "proxy/head_grammar.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace alcove::proxy {
namespace {

Failure bad_request(std::string text, int status = 400) {
  return {Side::client, Phase::head, status, std::move(text), 0};
}
Failure too_large(Limit limit, std::string text, int status = 431) {
  return {limit, Side::client, Phase::head, status, std::move(text), 0};
}
Failure bad_response(std::string text) {
  return {Side::pod, Phase::response, 502, std::move(text), 0};
}

// 1*DIGIT and nothing else (RFC 9110 8.6): no sign, no list, no overflow.
std::optional<std::uint64_t> parse_length(std::string_view value) {
  std::uint64_t length = 0;
  if (value.empty() || value.front() < '0' || value.front() > '9') return std::nullopt;
  const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (ec != std::errc{} || end != value.data() + value.size() || length > (std::uint64_t{1} << 62))
    return std::nullopt;
  return length;
}

const HeadField* find_by_id(const std::vector<HeadField>& fields, http::field id) {
  for (const HeadField& field : fields)
    if (field.id == id) return &field;
  return nullptr;
}

// Each name that Connection lists is looked for among all fields: thousands would be milliseconds of work.
constexpr unsigned kMostConnectionOptions = 64;

// What both kinds of message collect while their fields are read.
struct Collected {
  std::vector<HeadField>* fields = nullptr;
  std::uint32_t most_fields = 0;
  std::string_view too_many;  // the field that went over
  unsigned lengths = 0;
  unsigned codings = 0;
  std::string_view coding;
  std::optional<std::uint64_t> length;
  bool bad_length = false;
  unsigned connection_options = 0;
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
  bool upgrade_websocket = false;

  bool add(http::field id, std::string_view name, std::string_view value) {
    if (fields->size() >= most_fields) {
      too_many = name;
      return false;
    }
    fields->push_back({id, name, value});
    switch (id) {
      case http::field::content_length:
        ++lengths;
        length = parse_length(value);
        bad_length |= !length;
        break;
      case http::field::transfer_encoding:
        ++codings;
        coding = value;
        break;
      case http::field::connection:
        for_each_item(value, ',', [this](std::string_view token) {
          ++connection_options;
          close |= iequals(token, "close");
          keep_alive |= iequals(token, "keep-alive");
          upgrade |= iequals(token, "upgrade");
        });
        break;
      case http::field::upgrade:
        for_each_item(value, ',',
                      [this](std::string_view token) { upgrade_websocket |= iequals(token, "websocket"); });
        break;
      default:
        break;
    }
    return true;
  }
  bool keeps_alive(bool http11) const { return http11 ? !close : keep_alive && !close; }
};

// Reads all fields, or as many as there may be: one too many is told by `collected`.
HeadFault collect(std::string_view head, Collected& collected) {
  FieldLine line;
  HeadFault fault = HeadFault::none;
  while (read_field_line(head, line, fault)) {
    if (fault != HeadFault::none) break;
    if (!collected.add(known_field(line.name), line.name, line.value)) break;
  }
  return fault;
}

std::string_view line_at(std::string_view data, std::size_t at) {
  const auto end = data.find("\r\n", at);
  return data.substr(at, end == std::string_view::npos ? end : end - at);
}

// "METHOD target HTTP/d.d" with two spaces in all: a request line of a version that is not spoken here.
bool names_another_version(std::string_view data) {
  const std::string_view line = line_at(data, 0);
  const auto last = line.rfind(' ');
  return std::count(line.begin(), line.end(), ' ') == 2 && line.substr(last + 1, 5) == "HTTP/" &&
         line.size() == last + 9;
}

// What is wrong, and where.
std::string describe_bad_head(std::string_view data, HeadFault fault) {
  const auto plain = [](std::string_view line) { return "\"" + printable(line, 80) + "\""; };
  std::string_view rest = data;
  RequestLine request;
  if (read_request_line(rest, request) != HeadFault::none)
    return "malformed request line " + plain(line_at(data, 0)) + ": " + std::string(words_of(fault));
  FieldLine field;
  HeadFault found = HeadFault::none;
  std::string_view before = rest;
  while (read_field_line(rest, field, found) && found == HeadFault::none) before = rest;
  return "malformed header field " + plain(line_at(before, 0)) + ": " + std::string(words_of(fault));
}

std::optional<Failure> too_many_fields(const Collected& collected) {
  if (collected.too_many.empty()) return std::nullopt;
  return too_large(Limit::head_fields, "more than " + std::to_string(collected.most_fields) +
                                           " header fields; \"" + printable(collected.too_many, 80) +
                                           "\" is one too many");
}

// RFC 9112 6.3, for requests: anything that two readers could understand differently is refused.
std::optional<Failure> frame_request(const Collected& collected, bool http11, BodyFraming& body) {
  if (collected.codings > 0) {
    if (!http11) return bad_request("Transfer-Encoding in an HTTP/1.0 request");
    if (collected.lengths > 0) return bad_request("both Content-Length and Transfer-Encoding");
    if (collected.codings > 1) return bad_request("more than one Transfer-Encoding");
    if (!iequals(collected.coding, "chunked")) {
      std::string_view last;
      for_each_item(collected.coding, ',', [&last](std::string_view token) { last = token; });
      const std::string shown = "\"" + printable(collected.coding, 80) + "\"";
      if (!iequals(last, "chunked"))
        return bad_request("Transfer-Encoding " + shown + " does not end in chunked");
      return bad_request("Transfer-Encoding " + shown + " is not implemented; send chunked alone", 501);
    }
    body = {BodyKind::chunked, 0};
    return std::nullopt;
  }
  if (collected.lengths > 1) return bad_request("more than one Content-Length");
  if (collected.bad_length) return bad_request("Content-Length is not a number");
  body = {};
  if (collected.length && *collected.length > 0) body = {BodyKind::length, *collected.length};
  return std::nullopt;
}

bool starts_with_scheme(std::string_view target, std::size_t& authority) {
  for (const std::string_view scheme : {std::string_view("http://"), std::string_view("https://")}) {
    if (target.size() > scheme.size() && iequals(target.substr(0, scheme.size()), scheme)) {
      authority = scheme.size();
      return true;
    }
  }
  return false;
}

// RFC 9112 3.2: the four forms of a target, and the one Host.
std::optional<Failure> place_request(RequestHead& head) {
  const HeadField* host = nullptr;
  for (const HeadField& field : head.fields) {
    if (field.id != http::field::host) continue;
    if (host != nullptr) return bad_request("more than one Host");
    host = &field;
  }
  if (host == nullptr && head.http11) return bad_request("no Host");
  head.host = host != nullptr ? host->value : std::string_view{};

  std::size_t authority = 0;
  if (head.target.front() == '/') {
    head.path = head.target;
  } else if (head.target == "*") {
    if (head.verb != http::verb::options) return bad_request("target * is for OPTIONS only");
    head.path = head.target;
  } else if (starts_with_scheme(head.target, authority)) {
    const auto slash = head.target.find_first_of("/?", authority);
    head.host = head.target.substr(authority, slash == std::string_view::npos ? slash : slash - authority);
    // Without a path, OPTIONS asks about the server and not about a resource (RFC 9112 3.2.4).
    const std::string_view whole = head.verb == http::verb::options ? "*" : "/";
    head.path = slash == std::string_view::npos ? whole : head.target.substr(slash);
    if (head.path.front() == '?') return bad_request("an absolute target needs a path before its query");
  } else {
    return bad_request("target \"" + printable(head.target, 80) + "\" is neither a path nor a URL");
  }
  // A fragment is never sent (RFC 9112 3.2.1): who reads on behind it sees another path than who does not.
  if (head.target.find('#') != std::string_view::npos)
    return bad_request("target \"" + printable(head.target, 80) + "\" has a fragment");
  static constexpr ByteSet kNotInHosts("@/\\ \t,");
  if (kNotInHosts.find_in(head.host) != std::string_view::npos)
    return bad_request("Host \"" + printable(head.host, 80) + "\" is not a host name");
  return std::nullopt;
}

const HeadField* find_field(const std::vector<HeadField>& fields, std::string_view name) {
  for (const HeadField& field : fields)
    if (iequals(field.name, name)) return &field;
  return nullptr;
}

}  // namespace

const HeadField* RequestHead::find(http::field id) const {
  return find_by_id(fields, id);
}
const HeadField* ResponseHead::find(http::field id) const {
  return find_by_id(fields, id);
}

const HeadField* RequestHead::find(std::string_view name) const {
  return find_field(fields, name);
}
const HeadField* ResponseHead::find(std::string_view name) const {
  return find_field(fields, name);
}

HeadScan find_head_end(std::string_view data, std::size_t& line, std::size_t& end) {
  for (;;) {
    if (line < data.size() && line > 0 && (data[line] == ' ' || data[line] == '\t'))
      return HeadScan::malformed;
    const void* found =
        line < data.size() ? std::memchr(data.data() + line, '\n', data.size() - line) : nullptr;
    if (found == nullptr) return HeadScan::incomplete;
    const auto newline = static_cast<std::size_t>(static_cast<const char*>(found) - data.data());
    if (newline == 0 || data[newline - 1] != '\r') return HeadScan::malformed;
    if (newline == line + 1) {
      end = newline + 1;
      return HeadScan::complete;
    }
    line = newline + 1;
  }
}

std::optional<Failure> parse_request_head(std::string_view data, const HeadLimits& limits,
                                          RequestHead& head) {
  head.fields.clear();
  Collected seen;
  seen.fields = &head.fields;
  seen.most_fields = limits.fields;
  std::string_view rest = data;
  RequestLine line;
  HeadFault fault = read_request_line(rest, line);
  if (fault == HeadFault::version && names_another_version(data))
    return bad_request("only HTTP/1.0 and HTTP/1.1 are spoken here", 505);
  if (fault == HeadFault::none) fault = collect(rest, seen);
  if (auto failure = too_many_fields(seen)) return failure;
  if (fault != HeadFault::none) return bad_request(describe_bad_head(data, fault));
  head.method = line.method;
  head.verb = http::string_to_verb({line.method.data(), line.method.size()});
  head.target = line.target;
  head.http11 = line.http11;
  head.keep_alive = seen.keeps_alive(head.http11);
  if (seen.connection_options > kMostConnectionOptions)
    return bad_request("Connection names more than " + std::to_string(kMostConnectionOptions) + " fields");
  if (head.verb == http::verb::connect) return bad_request("CONNECT is not offered", 405);
  if (auto failure = place_request(head)) return failure;
  if (auto failure = frame_request(seen, head.http11, head.body)) return failure;

  head.expects_continue = false;
  if (const HeadField* expect = head.find(http::field::expect); expect != nullptr && head.http11) {
    if (!iequals(expect->value, "100-continue"))
      return bad_request("Expect \"" + printable(expect->value, 80) + "\" cannot be met", 417);
    head.expects_continue = head.body.kind != BodyKind::none;
  }
  head.websocket = seen.upgrade && seen.upgrade_websocket && head.http11 && head.verb == http::verb::get &&
                   head.body.kind == BodyKind::none;
  return std::nullopt;
}

Failure oversized_head(std::string_view data, const HeadLimits& limits) {
  const std::string most = std::to_string(limits.bytes) + " bytes";
  const auto first_end = data.find("\r\n");
  if (first_end == std::string_view::npos)
    return too_large(Limit::head_bytes, "the request line is longer than " + most, 414);
  // Name the largest field, the one not yet ended included: that is what somebody has to make smaller.
  std::string_view name;
  std::size_t largest = 0;
  for (std::size_t at = first_end + 2; at < data.size();) {
    const auto end = data.find("\r\n", at);
    const std::string_view line = data.substr(at, end == std::string_view::npos ? end : end - at);
    if (line.size() > largest) {
      largest = line.size();
      name = line.substr(0, line.find(':'));
    }
    if (end == std::string_view::npos) break;
    at = end + 2;
  }
  return too_large(Limit::head_bytes, "the request head is larger than " + most +
                                          "; its largest field is \"" + printable(name, 80) +
                                          "\" with at least " + std::to_string(largest) + " bytes");
}

std::optional<Failure> parse_response_head(std::string_view data, const HeadLimits& limits, bool to_head,
                                           ResponseHead& head) {
  head.fields.clear();
  Collected seen;
  seen.fields = &head.fields;
  seen.most_fields = limits.fields;
  std::string_view rest = data;
  StatusLine line;
  HeadFault fault = read_status_line(rest, line);
  if (fault == HeadFault::none) fault = collect(rest, seen);
  if (!seen.too_many.empty())
    return bad_response("the pod's answer has more than " + std::to_string(limits.fields) + " header fields");
  if (fault != HeadFault::none)
    return bad_response("the pod's answer has a malformed head: " + std::string(words_of(fault)));
  head.status = line.status;
  head.reason = line.reason;
  head.http11 = line.http11;
  head.keep_alive = seen.keeps_alive(head.http11);
  head.websocket = head.status == 101 && seen.upgrade && seen.upgrade_websocket;
  head.content_length.reset();
  head.body = {};
  if (seen.connection_options > kMostConnectionOptions)
    return bad_response("the pod's answer names more than " + std::to_string(kMostConnectionOptions) +
                        " fields in Connection");
  if (head.status < 100 || head.status > 599)
    return bad_response("the pod's answer has status " + std::to_string(head.status));
  if (seen.bad_length || seen.lengths > 1)
    return bad_response("the pod's answer has a malformed Content-Length");
  if (seen.lengths > 0 && seen.codings > 0)
    return bad_response("the pod's answer has both Content-Length and Transfer-Encoding");
  if (seen.codings > 0 && (!head.http11 || seen.codings > 1 || !iequals(seen.coding, "chunked")))
    return bad_response("the pod's answer has Transfer-Encoding \"" + printable(seen.coding, 80) + "\"");
  head.content_length = seen.length;
  if (to_head || head.status < 200 || head.status == 204 || head.status == 304) return std::nullopt;
  if (seen.codings > 0) {
    head.body = {BodyKind::chunked, 0};
  } else if (!seen.length) {
    head.body = {BodyKind::until_close, 0};
  } else if (*seen.length > 0) {
    head.body = {BodyKind::length, *seen.length};
  }
  return std::nullopt;
}

}  // namespace alcove::proxy
