// Input: what a fuzzer makes of the bytes of one run. Four bytes of preamble, then the text:
//
//   byte 0      options, the low five bits: '@' is none, 'A' the first, 'B' the second, 'C' both, ...
//   bytes 1-3   how long the pieces are in which the text arrives, in turn: the low six bits, 32 times as
//               much with the high bit, 0 is all there is. "@@@" is the text at once, "AAA" byte by byte.
//
// Both are letters, so a seed is a text file that a person can write: "@@@@GET / HTTP/1.1...".
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace alcove::fuzz {

// Lengths of pieces, one after the other, without end.
class Cuts {
 public:
  Cuts() = default;  // one piece
  explicit Cuts(std::array<unsigned char, 3> lengths) : lengths_(lengths) {}

  // From 1 to `left`, which must not be 0.
  std::size_t next(std::size_t left) {
    const unsigned char byte = lengths_[at_++ % lengths_.size()];
    const std::size_t length = (byte & 0x3FU) * ((byte & 0x80U) != 0 ? std::size_t{32} : std::size_t{1});
    return length == 0 ? left : std::min(length, left);
  }

 private:
  std::array<unsigned char, 3> lengths_{};
  std::size_t at_ = 0;
};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) {
    std::string_view all(reinterpret_cast<const char*>(data), size);
    const auto take = [&all] {
      const char byte = all.empty() ? '@' : all.front();
      if (!all.empty()) all.remove_prefix(1);
      return static_cast<unsigned char>(byte);
    };
    options_ = take();
    std::array<unsigned char, 3> lengths{};
    for (unsigned char& length : lengths) length = take();
    cuts_ = Cuts(lengths);
    text_ = all;
  }

  bool option(unsigned bit) const { return ((options_ >> bit) & 1U) != 0; }
  Cuts cuts() const { return cuts_; }
  std::string_view text() const { return text_; }

 private:
  unsigned char options_ = 0;
  Cuts cuts_;
  std::string_view text_;
};

}  // namespace alcove::fuzz
