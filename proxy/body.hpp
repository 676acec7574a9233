// Bodies on their way through: BodyReader cuts one out of a read buffer, piece by piece, by its framing
// (RFC 9112 6); add_piece frames a piece anew for the other side. Called by relay for either direction. Pure.
// Thread: the worker's.
#pragma once

#include "proxy/buffer.hpp"
#include "proxy/chunk.hpp"
#include "proxy/gather.hpp"
#include "proxy/head.hpp"

#include <algorithm>
#include <array>

namespace alcove::proxy {

class BodyReader {
 public:
  explicit BodyReader(BodyFraming framing)
      : framing_(framing), left_(framing.length), done_(framing.kind == BodyKind::none) {}

  struct Piece {
    std::size_t payload = 0;  // body bytes, at the front of the buffer
    std::size_t raw = 0;      // bytes to consume from the buffer once the payload is sent
    bool bad = false;         // malformed chunk: nothing more can be understood
  };
  // What the buffer holds of the body. Decodes in place: call once, send, consume(raw), then call again.
  Piece next(Buffer& in) {
    Piece piece;
    if (done_ || in.empty()) return piece;
    switch (framing_.kind) {
      case BodyKind::none:
        break;
      case BodyKind::length:
        piece.payload = piece.raw = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
        left_ -= piece.raw;
        done_ = left_ == 0;
        break;
      case BodyKind::chunked: {
        const ChunkDecoder::Step step = chunks_.decode(in.data(), in.size());
        piece = {step.payload, step.consumed, step.status == ChunkDecoder::Status::bad};
        done_ = step.status == ChunkDecoder::Status::done;
        break;
      }
      case BodyKind::until_close:
        piece.payload = piece.raw = in.size();
        break;
    }
    return piece;
  }
  bool done() const { return done_; }
  // The sender has closed: is that the end of the body?
  bool ends_at_close() const { return framing_.kind == BodyKind::until_close; }
  BodyKind kind() const { return framing_.kind; }

 private:
  BodyFraming framing_;
  std::uint64_t left_;
  ChunkDecoder chunks_;
  bool done_;
};

// Where a chunk's size is written until it has been sent.
using ChunkSizeText = std::array<char, kMostChunkSizeText>;

// Adds one piece of a body (at most three parts). `last`: nothing of this body follows. A chunked piece
// without payload is nothing at all but for the last: an empty chunk would end the body.
inline void add_piece(Gather& parts, const char* data, std::size_t size, bool chunked, bool last,
                      ChunkSizeText& size_text) {
  if (!chunked) {
    parts.add(data, size);
    return;
  }
  constexpr std::string_view kEnd = "\r\n";
  constexpr std::string_view kLast = "0\r\n\r\n";
  constexpr std::string_view kEndAndLast = "\r\n0\r\n\r\n";
  if (size > 0) {
    parts.add(size_text.data(), write_chunk_size(size_text.data(), size));
    parts.add(data, size);
    const std::string_view end = last ? kEndAndLast : kEnd;
    parts.add(end.data(), end.size());
  } else if (last) {
    parts.add(kLast.data(), kLast.size());
  }
}

}  // namespace alcove::proxy
