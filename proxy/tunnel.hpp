// Tunnel: after 101, bytes both ways until both sides have ended. The end of one direction is passed on as
// such and the other goes on for a while (rule 11). No request limit runs on it; an idle one holds no buffer:
// it waits for readiness, borrows the worker's buffer, and gives it back before it waits again. When the
// gateway drains it ends between two frames of the pod's with a close frame (rule 25). Step 8 of the way of a
// request, instead of relay. Called by exchange. Thread: the worker's.
#pragma once

#include "base/event.hpp"
#include "proxy/exchange.hpp"
#include "proxy/websocket_watch.hpp"

#include <optional>
#include <string>

namespace alcove::proxy {

class Tunnel {
 public:
  Tunnel(Exchange& exchange, PodConn& pod);
  ~Tunnel();
  // Returns when the tunnel has ended. A failure is only for the log: nothing can be answered here.
  Awaitable<std::optional<Failure>> run();

 private:
  enum class From : std::uint8_t { client, pod };
  struct Direction {
    WebSocketWatch watch;
    bool ended = false;
    std::string unsent;  // what the other side would not take at once
  };

  Awaitable<void> client_to_pod();
  Awaitable<void> pod_to_client();
  Awaitable<std::optional<std::string_view>> read(From from);  // empty optional: the direction has ended
  Awaitable<bool> write(From from, std::string_view bytes);
  void moved(From from, std::string_view bytes);
  void limit();
  Awaitable<void> take_leave();
  bool only_leaving(const error_code& ec) const;

  Exchange& exchange_;
  ClientConn& conn_;
  PodConn& pod_;
  Direction from_client_;
  Direction from_pod_;
  Event ended_;
  bool broken_ = false;
  bool timed_out_ = false;
  bool took_leave_ = false;  // our close frame has been sent, the client's is awaited
};

}  // namespace alcove::proxy
