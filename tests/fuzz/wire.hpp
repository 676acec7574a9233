// Wire: one direction of a connection inside a fuzzer. Bytes arrive in pieces, in a buffer as the gateway's;
// bodies are cut out and framed anew by the product's own code (proxy/body); what relay would write is kept.
#pragma once

#include "proxy/body.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/message.hpp"

#include <string>
#include <string_view>

namespace alcove::fuzz {

class Arrival {
 public:
  Arrival(std::string_view sent, Cuts cuts, std::size_t capacity)
      : pool_(capacity), in_(pool_), sent_(sent), cuts_(cuts) {}

  proxy::Buffer& in() { return in_; }
  // One more piece into the buffer. False: nothing more comes, or no room is left.
  bool more() {
    in_.compact();
    char* const space = in_.space();
    const std::size_t most = std::min(sent_.size(), in_.space_size());
    if (most == 0) return false;
    const std::size_t size = cuts_.next(most);
    sent_.copy(space, size);
    in_.commit(size);
    sent_.remove_prefix(size);
    return true;
  }

 private:
  proxy::BufferPool pool_;
  proxy::Buffer in_;
  std::string_view sent_;
  Cuts cuts_;
};

inline void append(std::string& wire, const proxy::Gather& parts) {
  for (std::size_t i = 0; i < parts.count(); ++i)
    wire.append(static_cast<const char*>(parts.data()[i].iov_base), parts.data()[i].iov_len);
}

// Passes a body on, as relay does. Notes what was understood of it in `message`.
// False: malformed, nothing more can be read of this connection.
inline bool pass_body(Arrival& from, proxy::BodyReader& reader, bool chunked, Message& message,
                      std::string& wire) {
  proxy::ChunkSizeText size_text;
  while (!reader.done()) {
    if (from.in().empty() && !from.more()) return true;
    const proxy::BodyReader::Piece piece = reader.next(from.in());
    if (piece.bad) return false;
    message.content.append(from.in().data(), piece.payload);
    proxy::Gather parts;
    const bool last = reader.done() && reader.kind() == proxy::BodyKind::chunked;
    add_piece(parts, from.in().data(), piece.payload, chunked, last, size_text);
    append(wire, parts);
    from.in().consume(piece.raw);
  }
  return true;
}

inline Message::Body body_of(const proxy::BodyFraming& framing) {
  switch (framing.kind) {
    case proxy::BodyKind::none:
      return Message::Body::none;
    case proxy::BodyKind::length:
      return Message::Body::length;
    case proxy::BodyKind::chunked:
      return Message::Body::chunked;
    case proxy::BodyKind::until_close:
      return Message::Body::until_close;
  }
  return Message::Body::none;
}

}  // namespace alcove::fuzz
