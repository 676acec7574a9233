// Respond: the only place that makes an answer of our own: errors, the waiting page, sign-in, redirects.
// Pure: it writes a whole response (head and body) into a string; exchange sends it. Thread: any.
// Every answer says that it is ours, not the app's: `Server: alcove`, `Proxy-Status` (RFC 9209),
// `X-Request-ID`, `Cache-Control: no-store`. Errors are a page for browsers and application/problem+json (RFC
// 9457) for the rest.
#pragma once

#include "base/failure.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace alcove::proxy {

struct Reply {
  int status = 200;
  std::string content_type;  // empty: no body
  std::string body;
  std::vector<std::pair<std::string, std::string>>
      fields;                        // more header fields: Location, Set-Cookie, Allow, ...
  const Failure* failure = nullptr;  // for Proxy-Status
  bool streaming =
      false;  // no Content-Length: body follows until close, or chunked for HTTP/1.1 (caller's choice)
};

struct ReplyContext {
  std::string_view request_id{};
  bool http11 = true;
  bool keep_alive = true;  // what the Connection field will say
  bool head_only = false;  // answer to HEAD: Content-Length as if, no body
  bool html = false;       // the client is a browser navigation (Accept says text/html)
};

// Serialises `reply` to wire format into `out` (appended).
void write_reply(const Reply& reply, const ReplyContext& context, std::string& out);

// The error answer for a failure whose status is set: page or problem+json with the end code ("PD"), the text
// and the request id.
Reply error_reply(const Failure& failure, const ReplyContext& context);

std::string_view reason_phrase(int status);

}  // namespace alcove::proxy
