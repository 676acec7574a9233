#include "proxy/head_grammar.hpp"

#include "base/text.hpp"

#include <array>
#include <cstdint>
#include <cstring>

namespace alcove::proxy {
namespace {

namespace http = boost::beast::http;

// What a byte may be part of.
enum : std::uint8_t { kToken = 1, kTarget = 2, kValue = 4 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned c = 0x20; c < 0x100; ++c) {
    if (c == 0x7F) continue;
    classes[c] = kValue;                  // VCHAR, SP, obs-text (RFC 9110 5.5)
    if (c != ' ') classes[c] |= kTarget;  // more than a URI has: apps are sent what browsers send
  }
  classes['\t'] = kValue;
  for (unsigned c = '0'; c <= '9'; ++c) classes[c] |= kToken;
  for (unsigned c = 'a'; c <= 'z'; ++c) classes[c] |= kToken;
  for (unsigned c = 'A'; c <= 'Z'; ++c) classes[c] |= kToken;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) classes[static_cast<unsigned char>(c)] |= kToken;
  return classes;
}
constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

// How many bytes from the front are of the class.
std::size_t span(std::string_view text, std::uint8_t wanted) {
  std::size_t n = 0;
  while (n < text.size() && (kClasses[static_cast<unsigned char>(text[n])] & wanted) != 0) ++n;
  return n;
}

// Whether any of the eight bytes at `from` is a control character, or DEL.
bool has_control(const char* from) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, from, sizeof bytes);
  const std::uint64_t not_del = bytes ^ (0x7F * kEach);
  const std::uint64_t below_space = (bytes - 0x20 * kEach) & ~bytes;
  const std::uint64_t is_del = (not_del - kEach) & ~not_del;
  return ((below_space | is_del) & (0x80 * kEach)) != 0;
}

// How many bytes from the front a value may have: eight at once, then those around its end.
std::size_t value_span(std::string_view text) {
  std::size_t n = 0;
  while (n + 8 <= text.size() && !has_control(text.data() + n)) n += 8;
  return n + span(text.substr(n), kValue);
}

// Takes what comes before `separator` if all of it is of the class and it is not empty.
bool take(std::string_view& text, std::uint8_t wanted, char separator, std::string_view& taken) {
  const std::size_t n = span(text, wanted);
  if (n == 0 || n == text.size() || text[n] != separator) return false;
  taken = text.substr(0, n);
  text.remove_prefix(n + 1);
  return true;
}

template <std::size_t N>
bool take(std::string_view& text, const char (&expected)[N]) {
  constexpr std::size_t kLength = N - 1;  // known here, so that this is a comparison and no call
  if (text.size() < kLength || std::memcmp(text.data(), expected, kLength) != 0) return false;
  text.remove_prefix(kLength);
  return true;
}

HeadFault take_version(std::string_view& text, bool& http11) {
  if (!take(text, "HTTP/") || text.size() < 3 || text[1] != '.') return HeadFault::version;
  const bool known = text[0] == '1' && (text[2] == '0' || text[2] == '1');
  http11 = text[2] == '1';
  text.remove_prefix(3);
  return known ? HeadFault::none : HeadFault::version;
}

// The rest of a line, without white space around it.
bool take_value(std::string_view& text, std::string_view& value) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  const std::size_t n = value_span(text);
  value = text.substr(0, n);
  text.remove_prefix(n);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return take(text, "\r\n");
}

struct Known {
  std::string_view name;
  http::field id;
};
constexpr std::array kKnown{
    Known{"te", http::field::te},
    Known{"host", http::field::host},
    Known{"accept", http::field::accept},
    Known{"cookie", http::field::cookie},
    Known{"expect", http::field::expect},
    Known{"origin", http::field::origin},
    Known{"trailer", http::field::trailer},
    Known{"upgrade", http::field::upgrade},
    Known{"connection", http::field::connection},
    Known{"keep-alive", http::field::keep_alive},
    Known{"set-cookie", http::field::set_cookie},
    Known{"user-agent", http::field::user_agent},
    Known{"content-type", http::field::content_type},
    Known{"content-length", http::field::content_length},
    Known{"http2-settings", http::field::http2_settings},
    Known{"proxy-connection", http::field::proxy_connection},
    Known{"transfer-encoding", http::field::transfer_encoding},
    Known{"proxy-authenticate", http::field::proxy_authenticate},
    Known{"proxy-authorization", http::field::proxy_authorization},
};
constexpr std::size_t kLongestKnown = 19;

// The first of kKnown that is at least so long: the table is in the order of lengths.
constexpr std::array<std::uint8_t, kLongestKnown + 2> make_starts() {
  std::array<std::uint8_t, kLongestKnown + 2> starts{};
  for (std::size_t length = 0; length < starts.size(); ++length) {
    std::uint8_t at = 0;
    while (at < kKnown.size() && kKnown[at].name.size() < length) ++at;
    starts[length] = at;
  }
  return starts;
}
constexpr std::array<std::uint8_t, kLongestKnown + 2> kStarts = make_starts();

}  // namespace

std::string_view words_of(HeadFault fault) {
  switch (fault) {
    case HeadFault::none:
      return "nothing is wrong";
    case HeadFault::method:
      return "the method is not a token with a space after it";
    case HeadFault::target:
      return "the target is empty, or has a byte that must be encoded";
    case HeadFault::version:
      return "no HTTP/1.0 or HTTP/1.1 at its end";
    case HeadFault::status:
      return "the status is not three digits with a space after them";
    case HeadFault::reason:
      return "the reason has a control character";
    case HeadFault::name:
      return "the name is not a token with a colon right after it";
    case HeadFault::value:
      return "the value has a control character";
  }
  return {};
}

HeadFault read_request_line(std::string_view& head, RequestLine& line) {
  if (!take(head, kToken, ' ', line.method)) return HeadFault::method;
  if (!take(head, kTarget, ' ', line.target)) return HeadFault::target;
  if (const HeadFault fault = take_version(head, line.http11); fault != HeadFault::none) return fault;
  return take(head, "\r\n") ? HeadFault::none : HeadFault::version;
}

HeadFault read_status_line(std::string_view& head, StatusLine& line) {
  if (const HeadFault fault = take_version(head, line.http11); fault != HeadFault::none) return fault;
  if (!take(head, " ") || head.size() < 4 || head[3] != ' ') return HeadFault::status;
  line.status = 0;
  for (const char c : head.substr(0, 3)) {
    if (c < '0' || c > '9') return HeadFault::status;
    line.status = line.status * 10 + static_cast<unsigned>(c - '0');
  }
  head.remove_prefix(4);
  return take_value(head, line.reason) ? HeadFault::none : HeadFault::reason;
}

bool read_field_line(std::string_view& head, FieldLine& line, HeadFault& fault) {
  fault = HeadFault::none;
  if (take(head, "\r\n")) return false;
  if (!take(head, kToken, ':', line.name)) {
    fault = HeadFault::name;
  } else if (!take_value(head, line.value)) {
    fault = HeadFault::value;
  }
  return true;
}

http::field known_field(std::string_view name) {
  if (name.empty() || name.size() > kLongestKnown) return http::field::unknown;
  const char first = lower(name.front());
  const std::size_t end = kStarts[name.size() + 1];
  for (std::size_t i = kStarts[name.size()]; i < end; ++i)
    if (kKnown[i].name.front() == first && iequals(kKnown[i].name, name)) return kKnown[i].id;
  return http::field::unknown;
}

}  // namespace alcove::proxy
