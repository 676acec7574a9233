// ChunkDecoder: takes chunked coding apart, strictly and in place. Pure state machine; no I/O, no allocation.
// write_chunk_size is the other way. Called by body. Source: RFC 9112 7.1. Refuses what others have been
// tricked with: bare LF, signs, white space in a size, sizes above 2^60, unbounded extensions or trailers, CR
// or LF inside an extension (rule 4). Trailer fields are checked for form and dropped (RFC 9110 6.5.1 allows
// it; they are never merged into a head).
#pragma once

#include <cstddef>
#include <cstdint>

namespace alcove::proxy {

class ChunkDecoder {
 public:
  enum class Status : std::uint8_t { more, done, bad };
  struct Step {
    Status status = Status::more;
    std::size_t consumed = 0;  // raw bytes taken from the front
    std::size_t payload = 0;   // of these, decoded bytes, moved together to data[0..payload)
  };
  // Takes as much of data[0..size) as it can. After `done` or `bad` it must not be called again.
  Step decode(char* data, std::size_t size);

 private:
  enum class At : std::uint8_t {
    size_first,
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_line,
    trailer_lf,
    end_lf
  };
  bool take(char c);  // one byte outside data; false: refused

  At at_ = At::size_first;
  bool last_ = false;
  bool finished_ = false;
  std::uint64_t left_ = 0;   // of the current chunk's data
  std::uint32_t extra_ = 0;  // digits of this size, bytes of this chunk's extensions, or of trailers in all
  bool colon_ = false;       // a trailer line has had its colon
};

// "1f4\r\n" for a chunk of that size. Writes at most kMostChunkSizeText bytes.
inline constexpr std::size_t kMostChunkSizeText = 18;
std::size_t write_chunk_size(char* out, std::size_t size);

}  // namespace alcove::proxy
