// WebSocketWatch: follows the frames of one direction of a WebSocket from the outside, to tell data from ping
// and pong and to know whether a close frame could be put in here. Looks at frame heads only, copies nothing.
// Called by tunnel. Pure; thread: the worker's. Source: RFC 6455 5.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace alcove::proxy {

class WebSocketWatch {
 public:
  // Takes the next bytes of the stream. True: a data frame (text, binary, continuation) began or went on in
  // them.
  bool feed(std::string_view bytes);
  // Between two frames: another frame may be sent here.
  bool at_boundary() const { return head_size_ == 0 && left_ == 0; }

 private:
  std::uint64_t left_ = 0;       // payload bytes (and mask) still to come of this frame
  unsigned char head_[10] = {};  // the frame head while it is incomplete
  std::uint8_t head_size_ = 0;
  bool data_ = false;  // the current frame is a data frame
};

// A close frame of the server's side with a status code (RFC 6455 7.4), such as 1001 (going away) or 1012
// (restart).
std::string_view close_frame(unsigned code, char (&buffer)[4]);

}  // namespace alcove::proxy
