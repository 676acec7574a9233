// The frame watcher (RFC 6455 5.2) against a list of frames made from the whole stream: which bytes belong to
// data frames and where the boundaries are does not depend on how the stream is cut.
#include "proxy/websocket_watch.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/input.hpp"

#include <vector>

namespace alcove::fuzz {
namespace {

std::uint64_t number(std::string_view bytes) {
  std::uint64_t out = 0;
  for (const char c : bytes) out = out << 8 | static_cast<unsigned char>(c);
  return out;
}

// What is true of each place of the stream. Made frame by frame, with the whole stream at hand.
struct Marks {
  // How many of the bytes before it mark data: the last byte of a data frame's head, and each byte of its
  // mask and payload.
  std::vector<std::size_t> data;
  std::vector<bool> boundary;  // a frame ends here, and none has begun
};

Marks marks_of(std::string_view stream) {
  std::vector<bool> is_data(stream.size(), false);
  Marks out;
  out.boundary.assign(stream.size() + 1, false);
  std::uint64_t at = 0;
  for (;;) {
    if (at <= stream.size()) out.boundary[at] = true;
    if (at >= stream.size()) break;
    const std::string_view rest = stream.substr(at);
    const unsigned second = rest.size() > 1 ? static_cast<unsigned char>(rest[1]) : 0;
    const std::size_t wide = (second & 0x7F) == 126 ? 2 : (second & 0x7F) == 127 ? 8 : 0;
    if (rest.size() < 2 + wide) break;
    // A length with its highest bit set is none (RFC 6455 5.2): such a frame never ends.
    const std::uint64_t payload =
        wide == 0 ? second & 0x7F : std::min(number(rest.substr(2, wide)), std::uint64_t{1} << 63);
    const std::uint64_t head_end = at + 2 + wide;
    const std::uint64_t end = head_end + ((second & 0x80) != 0 ? 4 : 0) + payload;
    if ((static_cast<unsigned char>(rest[0]) & 0x0F) <= 2)
      for (std::uint64_t i = head_end - 1; i < end && i < stream.size(); ++i) is_data[i] = true;
    at = end;
  }
  out.data.assign(1, 0);
  for (const bool mark : is_data) out.data.push_back(out.data.back() + (mark ? 1 : 0));
  return out;
}

}  // namespace
}  // namespace alcove::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alcove::fuzz;
  const Input input(data, size);
  const std::string_view stream = input.text();
  const Marks marks = marks_of(stream);

  alcove::proxy::WebSocketWatch whole;
  require(whole.feed(stream) == (marks.data.back() > 0), "data is told from control", stream);
  require(whole.at_boundary() == marks.boundary.back(), "a boundary is known as one", stream);

  alcove::proxy::WebSocketWatch watch;
  Cuts cuts = input.cuts();
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t length = cuts.next(stream.size() - at);
    require(watch.feed(stream.substr(at, length)) == (marks.data[at + length] > marks.data[at]),
            "each piece says whether it has data", stream.substr(0, at), stream.substr(at, length));
    at += length;
    require(watch.at_boundary() == marks.boundary[at], "after each piece a boundary is known as one",
            stream.substr(0, at));
  }
  return 0;
}
