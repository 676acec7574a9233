// A message head as views into the client's (or pod's) read buffer, and the strict parser that makes it.
// Step 2 of the way of a request. Called by client_conn (requests) and relay (responses).
// head_grammar does the grammar; before it, find_head_end refuses what no line may have (rule 4 of the HTTP
// rules: obsolete folding, bare LF), and the framing (RFC 9112 6.3) is decided here from the fields alone,
// never from the method (rule 3). Owns nothing:
// the views live as long as the buffer stays where it is. The table of fields is the worker's, reused for
// every head, so no field costs an allocation. Thread: the worker's.
#pragma once

#include "base/failure.hpp"

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace alcove::proxy {

namespace http = boost::beast::http;

struct HeadField {
  http::field id;  // http::field::unknown for what the gateway does not act on
  std::string_view name;
  std::string_view value;  // without surrounding white space
};

enum class BodyKind : std::uint8_t { none, length, chunked, until_close };

struct BodyFraming {
  BodyKind kind = BodyKind::none;
  std::uint64_t length = 0;  // BodyKind::length
};

struct RequestHead {
  std::string_view method;
  http::verb verb = http::verb::unknown;
  std::string_view target;  // as sent: origin-form, absolute-form or "*"
  std::string_view path;    // origin-form part of target, with the query; "*" for OPTIONS *
  std::string_view
      host;            // of the absolute-form target, else the Host field: name and port, not yet lower case
  bool http11 = true;  // else HTTP/1.0
  bool keep_alive = true;  // what the client asks for
  bool expects_continue = false;
  bool websocket = false;  // a complete upgrade request for websocket
  BodyFraming body;
  std::vector<HeadField> fields;

  // First field of this id, or nullptr.
  const HeadField* find(http::field id) const;
  // By name, ASCII case-insensitive, for the others.
  const HeadField* find(std::string_view name) const;
};

struct ResponseHead {
  unsigned status = 0;
  std::string_view reason;
  bool http11 = true;
  bool keep_alive = true;
  bool websocket = false;                       // 101 with Upgrade: websocket
  BodyFraming body;                             // for the request method given to the parser
  std::optional<std::uint64_t> content_length;  // as declared, also where there is no body (HEAD, 304)
  std::vector<HeadField> fields;

  const HeadField* find(http::field id) const;
  const HeadField* find(std::string_view name) const;  // as in RequestHead
};

struct HeadLimits {
  std::uint32_t bytes;
  std::uint32_t fields;
};

// Looks for the end of the head at the beginning of `data`, line by line. `line` is where the line begins
// that has no end yet: kept by the caller between calls (0 at first), so that no line is looked at twice.
//   incomplete: more bytes are needed. complete: the head takes `end` bytes, with its empty line.
//   malformed: a bare LF or an obsolete folding (RFC 9112 2.2, 5.2), answered at once and not when time is
//   up.
enum class HeadScan : std::uint8_t { incomplete, complete, malformed };
HeadScan find_head_end(std::string_view data, std::size_t& line, std::size_t& end);

// `data` is one whole head as found by find_head_end (complete). Fills `head`; on refusal answers the
// Failure: 400, 405 (CONNECT), 431 naming the field, 501 (transfer coding), 505. `head` keeps its capacity.
std::optional<Failure> parse_request_head(std::string_view data, const HeadLimits& limits, RequestHead& head);

// What an oversized head (its end not found within limits.bytes) is answered with: 414 if the request line is
// too long, else 431 that names the field that goes over.
Failure oversized_head(std::string_view data, const HeadLimits& limits);

// `to_head`: the response to a HEAD request. Failure: side pod, phase response, 502.
std::optional<Failure> parse_response_head(std::string_view data, const HeadLimits& limits, bool to_head,
                                           ResponseHead& head);

}  // namespace alcove::proxy
