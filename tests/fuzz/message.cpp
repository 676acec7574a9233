#include "tests/fuzz/message.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace alcove::fuzz {
namespace {

const char* name_of(Message::Body body) {
  switch (body) {
    case Message::Body::none:
      return "no body";
    case Message::Body::length:
      return "length";
    case Message::Body::chunked:
      return "chunked";
    case Message::Body::until_close:
      return "until close";
  }
  return "?";
}

}  // namespace

const std::string* Message::find(std::string_view name) const {
  for (const auto& [field, value] : fields)
    if (field == name) return &value;
  return nullptr;
}

std::size_t Message::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; }));
}

std::string_view host_of(const Message& message) {
  const std::string* host = message.find("host");
  return host == nullptr ? std::string_view{} : std::string_view(*host);
}

bool same_meaning(const Message& a, const Message& b) {
  return same_so_far(a, b) && a.content == b.content;
}

bool same_so_far(const Message& a, const Message& b) {
  const bool contents =
      a.whole ? a.content == b.content : a.content.starts_with(b.content) || b.content.starts_with(a.content);
  const bool hosts = a.status != 0 || host_of(a) == host_of(b);  // of an answer it means nothing
  return a.method == b.method && a.target == b.target && hosts && a.status == b.status && a.body == b.body &&
         a.length == b.length && a.whole == b.whole && contents;
}

std::string describe(const Message& message) {
  std::string out = message.status != 0 ? std::to_string(message.status)
                                        : printable(message.method + " " + message.target, 200) + " at " +
                                              printable(host_of(message), 100);
  out += std::string(", ") + name_of(message.body);
  if (message.body == Message::Body::length) out += " " + std::to_string(message.length);
  out += ", " + std::to_string(message.content.size()) + " bytes \"" + printable(message.content, 200) + "\"";
  return out + (message.whole ? ", whole" : ", cut short");
}

std::string describe(const std::vector<Message>& messages) {
  std::string out = std::to_string(messages.size()) + " messages";
  for (const Message& message : messages) out += "; [" + describe(message) + "]";
  return out;
}

}  // namespace alcove::fuzz
