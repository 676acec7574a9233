#include "local/guard_protocol.hpp"

#include <cstring>

namespace alcove {
namespace {

constexpr std::uint8_t kVersion = 1;

template <class Number>
void put(std::string& out, Number value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

template <class Number>
bool get(std::string_view& in, Number& value) {
  if (in.size() < sizeof value) return false;
  std::memcpy(&value, in.data(), sizeof value);
  in.remove_prefix(sizeof value);
  return true;
}

}  // namespace

std::string encode(const GuardMessage& message) {
  std::string packet;
  put(packet, kVersion);
  put(packet, static_cast<std::uint8_t>(message.word));
  put(packet, message.id);
  put(packet, message.number);
  put(packet, message.second);
  put(packet, static_cast<std::uint32_t>(message.texts.size()));
  for (const std::string& text : message.texts) {
    put(packet, static_cast<std::uint32_t>(text.size()));
    packet += text;
  }
  return packet;
}

std::optional<GuardMessage> decode(std::string_view packet) {
  GuardMessage message;
  std::uint8_t version = 0;
  std::uint8_t word = 0;
  std::uint32_t count = 0;
  if (!get(packet, version) || version != kVersion) return std::nullopt;
  if (!get(packet, word) || word < static_cast<std::uint8_t>(GuardWord::start) ||
      word > static_cast<std::uint8_t>(GuardWord::ended))
    return std::nullopt;
  if (!get(packet, message.id) || !get(packet, message.number) || !get(packet, message.second) ||
      !get(packet, count))
    return std::nullopt;
  message.word = static_cast<GuardWord>(word);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t size = 0;
    if (!get(packet, size) || size > packet.size()) return std::nullopt;
    message.texts.emplace_back(packet.substr(0, size));
    packet.remove_prefix(size);
  }
  if (!packet.empty()) return std::nullopt;
  return message;
}

}  // namespace alcove
