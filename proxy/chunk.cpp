#include "proxy/chunk.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace alcove::proxy {
namespace {

constexpr std::uint32_t kMaxSizeDigits = 16;  // leading zeros too, or a size could go on for ever
constexpr std::uint32_t kMaxExtension = 512;
constexpr std::uint32_t kMaxTrailers = 8 * 1024;
constexpr std::uint64_t kMaxChunk = std::uint64_t{1} << 60;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_text(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u >= 0x20 && u != 0x7f) || u == '\t';
}

}  // namespace

bool ChunkDecoder::take(char c) {
  switch (at_) {
    case At::size_first:
    case At::size:
      if (const int digit = hex_value(c); digit >= 0) {
        left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        at_ = At::size;
        return left_ < kMaxChunk && ++extra_ <= kMaxSizeDigits;
      }
      if (at_ == At::size_first) return false;
      extra_ = 0;
      if (c == '\r') {
        at_ = At::size_lf;
        return true;
      }
      at_ = At::extension;
      return c == ';';
    case At::extension:
      if (c == '\r') {
        at_ = At::size_lf;
        return true;
      }
      return is_text(c) && ++extra_ <= kMaxExtension;
    case At::size_lf:
      last_ = left_ == 0;
      extra_ = 0;
      at_ = last_ ? At::trailer_start : At::data;
      return c == '\n';
    case At::data:
      return false;  // not fed byte by byte
    case At::data_cr:
      at_ = At::data_lf;
      return c == '\r';
    case At::data_lf:
      at_ = At::size_first;
      return c == '\n';
    case At::trailer_start:
      colon_ = false;
      if (c == '\r') {
        at_ = At::end_lf;
        return true;
      }
      at_ = At::trailer_line;
      return is_text(c) && c != ' ' && c != '\t' && c != ':' && ++extra_ <= kMaxTrailers;
    case At::trailer_line:
      if (c == '\r') {
        at_ = At::trailer_lf;
        return colon_;
      }
      if (c == ':') colon_ = true;
      return is_text(c) && (colon_ || (c != ' ' && c != '\t')) && ++extra_ <= kMaxTrailers;
    case At::trailer_lf:
      at_ = At::trailer_start;
      return c == '\n';
    case At::end_lf:
      finished_ = true;
      return c == '\n';
  }
  return false;
}

ChunkDecoder::Step ChunkDecoder::decode(char* data, std::size_t size) {
  Step step;
  while (step.consumed < size) {
    if (at_ == At::data) {
      const std::size_t take_now = std::min<std::uint64_t>(left_, size - step.consumed);
      if (step.payload != step.consumed) std::memmove(data + step.payload, data + step.consumed, take_now);
      step.payload += take_now;
      step.consumed += take_now;
      left_ -= take_now;
      if (left_ == 0) at_ = At::data_cr;
      continue;
    }
    if (!take(data[step.consumed])) {
      step.status = Status::bad;
      return step;
    }
    ++step.consumed;
    if (finished_) {
      step.status = Status::done;
      return step;
    }
  }
  return step;
}

std::size_t write_chunk_size(char* out, std::size_t size) {
  char* end = std::to_chars(out, out + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return static_cast<std::size_t>(end - out);
}

}  // namespace alcove::proxy
