// The grammar of a message head (RFC 9112 3 to 5), read line by line and strictly: each byte is looked at
// once and against one table. What the fields mean is decided in head.cpp. Called by head. Pure, any thread.
// The text is one whole head as find_head_end has found it: every line ends in CR LF, none is folded.
#pragma once

#include "base/text.hpp"

#include <boost/beast/http/field.hpp>

#include <cstdint>
#include <string_view>

namespace alcove::proxy {

enum class HeadFault : std::uint8_t { none, method, target, version, status, reason, name, value };
std::string_view words_of(HeadFault fault);

struct RequestLine {
  std::string_view method;
  std::string_view target;
  bool http11 = true;  // else 1.0
};
struct StatusLine {
  unsigned status = 0;
  std::string_view reason;
  bool http11 = true;
};
struct FieldLine {
  std::string_view name;
  std::string_view value;  // without surrounding white space
};

// Each takes its line from the front of `head`.
HeadFault read_request_line(std::string_view& head, RequestLine& line);
HeadFault read_status_line(std::string_view& head, StatusLine& line);
// false: it was the empty line, the end.
bool read_field_line(std::string_view& head, FieldLine& line, HeadFault& fault);

// The fields that the gateway acts on; all others are boost::beast::http::field::unknown.
boost::beast::http::field known_field(std::string_view name);

// The parts of a text between separators, trimmed, without the empty ones: of a list (RFC 9110 5.6.1) or of
// cookies (RFC 6265 4.2.1). Quoted strings, which neither has where it is used, are not known.
template <class OnItem>
void for_each_item(std::string_view list, char separator, OnItem on_item) {
  while (!list.empty()) {
    const auto at = list.find(separator);
    const std::string_view item = trim(list.substr(0, at));
    if (!item.empty()) on_item(item);
    list = at == std::string_view::npos ? std::string_view{} : list.substr(at + 1);
  }
}

}  // namespace alcove::proxy
