// Head rules: what of a head goes on to the other side, and what is added. Pure: views in, one text out.
// Step 5 of the way of a request. Called by exchange (requests) and relay (responses). Thread: any.
// Source: RFC 9110 7.6 (hop-by-hop, Via), RFC 7239 and the X-Forwarded-* custom, RFC 6265 5.4 (one Cookie
// line); rules 1, 2, 8, 10, 16, 17, 18 of the HTTP rules. The framing is always written anew.
#pragma once

#include "proxy/head.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace alcove::proxy {

struct RequestRules {
  bool peer_trusted = false;      // its X-Forwarded-*, Forwarded and X-Request-ID are believed
  std::string_view peer_address;  // of the TCP connection
  bool tls = false;
  std::uint16_t port = 0;            // of the listener
  std::string_view request_id;       // used unless a trusted peer sent one
  std::string_view host;             // sent instead of the client's; empty: the client's
  std::string_view identity_header;  // name; empty: none
  std::string_view user;             // its value, percent-encoded by the caller if it is not printable ASCII
  std::string_view jwt_header;       // a client's is dropped even if `jwt` is empty
  std::string_view jwt;              // empty: none
  std::string_view private_cookie;   // never passed on; empty: none
  const std::vector<std::string>* private_headers = nullptr;  // lower-case names, never passed on
  std::size_t strip = 0;                                      // bytes of the path that the pod does not see
};

// Appends the head for the pod to `out`. The body follows with the framing of head.body.
void write_request_head(const RequestHead& head, const RequestRules& rules, std::string& out);

// How the body of an answer is framed for the client. HTTP/1.0 knows no chunks (rule 7): what has no length
// ends there with the connection.
enum class AnswerFraming : std::uint8_t {
  as_declared,  // no body, or one with a length
  chunked,
  until_close,
};
AnswerFraming answer_framing(const BodyFraming& body, bool client_http11);

struct ResponseRules {
  bool client_http11 = true;
  bool keep_alive = true;           // what the client is told
  bool chunked = false;             // the body is sent chunked (AnswerFraming::chunked)
  std::string_view private_cookie;  // a pod cannot set it
};

// Appends the head for the client to `out`: also for 1xx (no framing) and 101 (Upgrade kept).
void write_response_head(const ResponseHead& head, const ResponseRules& rules, std::string& out);

}  // namespace alcove::proxy
