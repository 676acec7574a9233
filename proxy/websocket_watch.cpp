#include "proxy/websocket_watch.hpp"

#include <algorithm>

namespace alcove::proxy {
namespace {

constexpr unsigned char kMaskBit = 0x80;
// A length's highest bit is 0 (RFC 6455 5.2). A frame that sets it has no end here: with the mask added its
// length would wrap round, and the middle of the frame look like a boundary.
constexpr std::uint64_t kEndless = std::uint64_t{1} << 63;

std::size_t head_needs(const unsigned char* head, std::size_t have) {
  if (have < 2) return 2;
  const unsigned length = head[1] & 0x7FU;
  return length == 126 ? 4 : length == 127 ? 10 : 2;
}

}  // namespace

bool WebSocketWatch::feed(std::string_view bytes) {
  bool saw_data = false;
  while (!bytes.empty()) {
    if (left_ > 0) {
      const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      left_ -= step;
      bytes.remove_prefix(step);
      saw_data |= data_;
      continue;
    }
    head_[head_size_++] = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (head_size_ < head_needs(head_, head_size_)) continue;
    std::uint64_t length = head_[1] & 0x7FU;
    for (std::size_t i = 2; i < head_size_; ++i) length = i == 2 ? head_[i] : (length << 8) | head_[i];
    data_ = (head_[0] & 0x0FU) <= 2;
    saw_data |= data_;
    left_ = std::min(length, kEndless) + ((head_[1] & kMaskBit) != 0 ? 4 : 0);
    head_size_ = 0;
  }
  return saw_data;
}

std::string_view close_frame(unsigned code, char (&buffer)[4]) {
  buffer[0] = static_cast<char>(0x88);  // FIN, opcode close
  buffer[1] = 2;
  buffer[2] = static_cast<char>(code >> 8);
  buffer[3] = static_cast<char>(code & 0xFF);
  return {buffer, sizeof buffer};
}

}  // namespace alcove::proxy
