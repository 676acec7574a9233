// Message: one HTTP/1.1 message as a reader understood it. What Alcove meant, what a strict reader and what
// sloppy ones make of the same bytes are compared in this form. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace alcove::fuzz {

struct Message {
  enum class Body : std::uint8_t { none, length, chunked, until_close };

  std::string method, target;                               // of a request
  unsigned status = 0;                                      // of a response
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  Body body = Body::none;
  std::uint64_t length = 0;  // Body::length
  std::string content;       // decoded, as much of it as is there
  bool whole = false;        // all of it is there

  // First field of this lower-case name; nullptr: none.
  const std::string* find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
};

struct Reading {
  std::vector<Message> messages;
  std::string refused;  // why the reader stopped; empty: it came to the end of the bytes
};

// What of a response's framing the bytes do not say.
struct Asked {
  bool with_head = false;  // the request was a HEAD
};

// Method, target, host, status, framing and body: what two readers must not differ about.
bool same_meaning(const Message& a, const Message& b);
// The same, but of a body that ends malformed one reader may have taken less than the other.
bool same_so_far(const Message& a, const Message& b);
std::string describe(const Message& message);
std::string describe(const std::vector<Message>& messages);
std::string_view host_of(const Message& message);

}  // namespace alcove::fuzz
