// BodyReader: cuts one message body out of a read buffer, piece by piece, by its framing (RFC 9112 6). Pure.
// Called by relay for either direction. Thread: the worker's.
#pragma once

#include "proxy/buffer.hpp"
#include "proxy/chunk.hpp"
#include "proxy/head.hpp"

#include <algorithm>

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

}  // namespace alcove::proxy
