#include "proxy/head_rules.hpp"

#include "base/text.hpp"
#include "proxy/head_grammar.hpp"

#include <array>
#include <charconv>

namespace alcove::proxy {
namespace {

void put(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void put_number(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

// Compares names as pods may: without case, and with '_' for '-', since many read both as one CGI variable.
char folded(char c) {
  return c == '_' ? '-' : lower(c);
}
bool same_name(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (folded(a[i]) != folded(b[i])) return false;
  return true;
}

bool has_prefix(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() && same_name(name.substr(0, prefix.size()), prefix);
}

// Names that Connection lists, other than its own options. They are few: a linear look is cheaper than a set.
class NamedByConnection {
 public:
  explicit NamedByConnection(const std::vector<HeadField>& fields) {
    for (const HeadField& field : fields) {
      if (field.id != http::field::connection) continue;
      for_each_item(field.value, ',', [this](std::string_view token) {
        if (iequals(token, "close") || iequals(token, "keep-alive") || iequals(token, "upgrade")) return;
        names_.push_back(token);
      });
    }
  }
  bool contains(std::string_view name) const {
    for (const std::string_view named : names_)
      if (iequals(named, name)) return true;
    return false;
  }

 private:
  std::vector<std::string_view> names_;  // empty, and so without an allocation, in nearly every head
};

bool is_hop_by_hop(http::field id) {
  switch (id) {
    case http::field::connection:
    case http::field::keep_alive:
    case http::field::proxy_connection:
    case http::field::proxy_authenticate:
    case http::field::proxy_authorization:
    case http::field::te:
    case http::field::trailer:
    case http::field::transfer_encoding:
    case http::field::upgrade:
    case http::field::http2_settings:
      return true;
    default:
      return false;
  }
}

enum class Forwarding : std::uint8_t { none, for_, proto, host, port, forwarded, via, request_id, other };

// What says how a request came here: believed from trusted peers alone.
Forwarding forwarding_field(std::string_view name) {
  const char first = name.empty() ? ' ' : lower(name.front());
  if (first != 'x' && first != 'f' && first != 'v') return Forwarding::none;  // nearly all
  if (has_prefix(name, "x-forwarded-")) {
    if (same_name(name, "x-forwarded-for")) return Forwarding::for_;
    if (same_name(name, "x-forwarded-proto")) return Forwarding::proto;
    if (same_name(name, "x-forwarded-host")) return Forwarding::host;
    if (same_name(name, "x-forwarded-port")) return Forwarding::port;
    return Forwarding::other;
  }
  if (same_name(name, "forwarded")) return Forwarding::forwarded;
  if (same_name(name, "via")) return Forwarding::via;
  if (same_name(name, "x-real-ip")) return Forwarding::other;
  if (same_name(name, "x-request-id")) return Forwarding::request_id;
  return Forwarding::none;
}

// An alias with '_' of a name that we own or that frames the message: never passed on, whoever sends it.
bool is_underscore_alias(std::string_view name) {
  if (name.find('_') == std::string_view::npos) return false;
  constexpr std::array<std::string_view, 6> guarded{"content-length",      "transfer-encoding",
                                                    "proxy-connection",    "keep-alive",
                                                    "proxy-authorization", "http2-settings"};
  for (const std::string_view other : guarded)
    if (same_name(name, other)) return true;
  return forwarding_field(name) != Forwarding::none;
}

bool is_internal(std::string_view name, const RequestRules& rules) {
  if (has_prefix(name, "x-alcove-")) return true;
  if (same_name(name, rules.identity_header) || same_name(name, rules.jwt_header)) return true;
  if (rules.private_headers != nullptr)
    for (const std::string& guarded : *rules.private_headers)
      if (same_name(name, guarded)) return true;
  return false;
}

bool is_cookie(std::string_view pair, std::string_view name) {
  return same_name(trim(pair.substr(0, pair.find('='))), name);
}

// Some front proxies fold several lines into one with commas: ours may be behind one.
bool holds_cookie(std::string_view text, std::string_view name) {
  bool found = false;
  if (!name.empty()) for_each_item(text, ',', [&](std::string_view part) { found |= is_cookie(part, name); });
  return found;
}

// All Cookie fields as one line, without ours. Nothing if nothing is left.
void put_cookies(const RequestHead& head, std::string_view private_cookie, std::string& out) {
  const std::size_t before = out.size();
  out.append("Cookie: ");
  const std::size_t begin = out.size();
  const auto put_pair = [&](std::string_view pair) {
    if (out.size() > begin) out.append("; ");
    out.append(pair);
  };
  for (const HeadField& field : head.fields) {
    if (field.id != http::field::cookie) continue;
    for_each_item(field.value, ';', [&](std::string_view pair) {
      if (!holds_cookie(pair, private_cookie)) return put_pair(pair);
      for_each_item(pair, ',', [&](std::string_view part) {
        if (!is_cookie(part, private_cookie)) put_pair(part);
      });
    });
  }
  if (out.size() == begin) {
    out.resize(before);
  } else {
    out.append("\r\n");
  }
}

// A cookie without a name ("=ours=x") is sent back by some browsers as its value, which then has our name.
bool sets_cookie(std::string_view value, std::string_view name) {
  while (!value.empty() && (value.front() == '=' || value.front() == ' ' || value.front() == '\t'))
    value.remove_prefix(1);
  bool found = false;
  if (!name.empty())
    for_each_item(value, ',',
                  [&](std::string_view part) { found |= is_cookie(part.substr(0, part.find(';')), name); });
  return found;
}

// What a trusted peer says.
struct Forwarded {
  std::string_view proto, host, port, request_id;
  bool has_for = false;
  bool has_forwarded = false;
};

// All fields of this kind as one list.
void put_list(const RequestHead& head, Forwarding kind, std::string& out) {
  for (const HeadField& field : head.fields)
    if (forwarding_field(field.name) == kind && !field.value.empty() && !is_underscore_alias(field.name))
      out.append(field.value).append(", ");
}

// RFC 7239: appended to what a trusted peer sent; made up for nobody.
void put_forwarded(const RequestHead& head, const RequestRules& rules, std::string& out) {
  out.append("Forwarded: ");
  put_list(head, Forwarding::forwarded, out);
  const bool v6 = rules.peer_address.find(':') != std::string_view::npos;
  out.append(v6 ? "for=\"[" : "for=").append(rules.peer_address).append(v6 ? "]\"" : "");
  out.append(";host=\"").append(head.host).append(rules.tls ? "\";proto=https\r\n" : "\";proto=http\r\n");
}

void put_forwarding(const RequestHead& head, const RequestRules& rules, const Forwarded& seen,
                    std::string& out) {
  out.append("X-Forwarded-For: ");
  if (seen.has_for) put_list(head, Forwarding::for_, out);
  out.append(rules.peer_address).append("\r\n");
  put(out, "X-Forwarded-Proto", !seen.proto.empty() ? seen.proto : rules.tls ? "https" : "http");
  if (const std::string_view host = !seen.host.empty() ? seen.host : head.host; !host.empty())
    put(out, "X-Forwarded-Host", host);
  out.append("X-Forwarded-Port: ");
  if (!seen.port.empty()) {
    out.append(seen.port);
  } else {
    put_number(out, rules.port);
  }
  out.append("\r\n");
  if (seen.has_forwarded) put_forwarded(head, rules, out);
  put(out, "X-Request-ID", !seen.request_id.empty() ? seen.request_id : rules.request_id);
}

void put_start_line(const RequestHead& head, std::size_t strip, std::string& out) {
  const std::string_view path = head.path.substr(std::min(strip, head.path.size()));
  out.append(head.method).append(1, ' ');
  if (path.empty() || (path.front() != '/' && path != "*")) out.push_back('/');
  out.append(path).append(" HTTP/1.1\r\n");
}

void put_framing(const BodyFraming& body, std::string& out) {
  if (body.kind == BodyKind::chunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  } else if (body.kind == BodyKind::length) {
    out.append("Content-Length: ");
    put_number(out, body.length);
    out.append("\r\n");
  }
}

}  // namespace

void write_request_head(const RequestHead& head, const RequestRules& rules, std::string& out) {
  put_start_line(head, rules.strip, out);
  put(out, "Host", rules.host.empty() ? head.host : rules.host);

  const NamedByConnection named(head.fields);
  Forwarded seen;
  bool cookies = false;
  bool zero_length = false;
  for (const HeadField& field : head.fields) {
    switch (field.id) {
      case http::field::host:
      case http::field::expect:
        continue;
      case http::field::content_length:
        zero_length = head.body.kind == BodyKind::none;
        continue;
      case http::field::cookie:
        cookies = !named.contains(field.name);
        continue;
      case http::field::origin:
        if (!rules.host.empty()) {
          out.append("Origin: ").append(rules.tls ? "https://" : "http://").append(rules.host).append("\r\n");
          continue;
        }
        break;
      default:
        break;
    }
    if (is_hop_by_hop(field.id) || is_underscore_alias(field.name) || is_internal(field.name, rules))
      continue;
    if (const Forwarding kind = forwarding_field(field.name); kind != Forwarding::none) {
      if (!rules.peer_trusted) continue;
      switch (kind) {
        case Forwarding::for_:
          seen.has_for = true;
          continue;
        case Forwarding::forwarded:
          seen.has_forwarded = true;
          continue;
        case Forwarding::proto:
          seen.proto = field.value;
          continue;
        case Forwarding::host:
          seen.host = field.value;
          continue;
        case Forwarding::port:
          seen.port = field.value;
          continue;
        case Forwarding::request_id:
          seen.request_id = field.value;
          continue;
        default:
          break;
      }
    }
    if (named.contains(field.name)) continue;
    put(out, field.name, field.value);
  }
  if (cookies) put_cookies(head, rules.private_cookie, out);
  put_forwarding(head, rules, seen, out);
  put(out, "Via", head.http11 ? "1.1 alcove" : "1.0 alcove");
  if (!rules.identity_header.empty() && !rules.user.empty()) put(out, rules.identity_header, rules.user);
  if (!rules.jwt.empty()) put(out, rules.jwt_header, rules.jwt);
  if (head.expects_continue) put(out, "Expect", "100-continue");
  if (head.websocket) out.append("Connection: Upgrade\r\nUpgrade: websocket\r\n");
  if (zero_length) out.append("Content-Length: 0\r\n");
  put_framing(head.body, out);
  out.append("\r\n");
}

AnswerFraming answer_framing(const BodyFraming& body, bool client_http11) {
  if (body.kind == BodyKind::none || body.kind == BodyKind::length) return AnswerFraming::as_declared;
  return client_http11 ? AnswerFraming::chunked : AnswerFraming::until_close;
}

void write_response_head(const ResponseHead& head, const ResponseRules& rules, std::string& out) {
  out.append("HTTP/1.1 ");
  put_number(out, head.status);
  out.append(1, ' ').append(head.reason).append("\r\n");

  const NamedByConnection named(head.fields);
  for (const HeadField& field : head.fields) {
    if (is_hop_by_hop(field.id) || field.id == http::field::content_length) continue;
    if (field.id == http::field::set_cookie && sets_cookie(field.value, rules.private_cookie)) continue;
    if (has_prefix(field.name, "x-alcove-") || named.contains(field.name)) continue;
    put(out, field.name, field.value);
  }
  put(out, "Via", head.http11 ? "1.1 alcove" : "1.0 alcove");
  if (head.status == 101) {
    out.append("Connection: Upgrade\r\nUpgrade: websocket\r\n");
  } else if (head.status >= 200) {
    if (rules.chunked) {
      out.append("Transfer-Encoding: chunked\r\n");
    } else if (head.content_length && head.status != 204) {
      out.append("Content-Length: ");
      put_number(out, *head.content_length);
      out.append("\r\n");
    }
    if (!rules.keep_alive) {
      out.append("Connection: close\r\n");
    } else if (!rules.client_http11) {
      out.append("Connection: keep-alive\r\n");
    }
  }
  out.append("\r\n");
}

}  // namespace alcove::proxy
