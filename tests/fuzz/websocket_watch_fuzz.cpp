// The frame watcher (RFC 6455 5.2) against a list of frames made from the whole stream: which bytes belong to
// data frames and where the boundaries are does not depend on how the stream is cut.
#include "proxy/websocket_watch.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/input.hpp"

#include <vector>

namespace alcove::fuzz {
namespace {

struct Frame {
  std::uint64_t begin = 0;     // of its head
  std::uint64_t head_end = 0;  // where its mask and payload begin
  std::uint64_t end = 0;
  bool data = false;
};

std::uint64_t number(std::string_view bytes) {
  std::uint64_t out = 0;
  for (const char c : bytes) out = out << 8 | static_cast<unsigned char>(c);
  return out;
}

// The whole frames, and the one that has begun. `head_cut`: the last one's head is not whole.
std::vector<Frame> frames_of(std::string_view stream, bool& head_cut) {
  std::vector<Frame> out;
  std::uint64_t at = 0;
  head_cut = false;
  while (at < stream.size()) {
    const std::string_view rest = stream.substr(at);
    const unsigned second = rest.size() > 1 ? static_cast<unsigned char>(rest[1]) : 0;
    const std::uint64_t more = (second & 0x7F) == 126 ? 2 : (second & 0x7F) == 127 ? 8 : 0;
    if (rest.size() < 2 + more) {
      head_cut = true;
      break;
    }
    Frame frame;
    frame.begin = at;
    frame.head_end = at + 2 + more;
    frame.data = (static_cast<unsigned char>(rest[0]) & 0x0F) <= 2;
    std::uint64_t payload = more == 0 ? second & 0x7F : number(rest.substr(2, more));
    // A length with its highest bit set is none (RFC 6455 5.2): such a frame never ends.
    payload = std::min(payload, std::uint64_t{1} << 63);
    frame.end = frame.head_end + ((second & 0x80) != 0 ? 4 : 0) + payload;
    at = frame.end;
    out.push_back(frame);
  }
  return out;
}

// Did a data frame begin or go on in the bytes from `from` to `to`? It begins with the last byte of its head.
bool has_data(const std::vector<Frame>& frames, std::uint64_t from, std::uint64_t to) {
  for (const Frame& frame : frames)
    if (frame.data && frame.head_end > from && frame.head_end <= to) return true;
  for (const Frame& frame : frames)
    if (frame.data && frame.head_end < to && frame.end > from && frame.end > frame.head_end) return true;
  return false;
}

}  // namespace
}  // namespace alcove::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alcove::fuzz;
  const Input input(data, size);
  const std::string_view stream = input.text();
  bool head_cut = false;
  const std::vector<Frame> frames = frames_of(stream, head_cut);
  const bool boundary = !head_cut && (frames.empty() || frames.back().end == stream.size());

  alcove::proxy::WebSocketWatch whole;
  require(whole.feed(stream) == has_data(frames, 0, stream.size()), "data is told from control", stream);
  require(whole.at_boundary() == boundary, "a boundary is known as one", stream);

  alcove::proxy::WebSocketWatch watch;
  Cuts cuts = input.cuts();
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t length = cuts.next(stream.size() - at);
    require(watch.feed(stream.substr(at, length)) == has_data(frames, at, at + length),
            "each piece says whether it has data", std::to_string(at), std::to_string(length), stream);
    at += length;
    bool between = false;
    for (const Frame& frame : frames) between |= frame.end == at;
    require(watch.at_boundary() == between, "after each piece a boundary is known as one", std::to_string(at),
            stream);
  }
  require(watch.at_boundary() == boundary, "pieces change nothing", stream);
  return 0;
}
