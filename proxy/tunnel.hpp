// Tunnel: after 101, bytes both ways until both sides have ended. The end of one direction is passed on as
// such and the other goes on for a while (rule 11). No request limit runs on it; an idle one holds no buffer:
// it waits for readiness, borrows the worker's buffer, and gives it back before it waits again. When the
// gateway drains it ends between two frames of the pod's with a close frame (rule 25). Step 8 of the way of a
// request, instead of relay. Called by exchange. Thread: the worker's. There are many and they rest for long,
// so what they hold is counted: docs/architecture.md.
#pragma once

#include "proxy/exchange.hpp"
#include "proxy/websocket_watch.hpp"

#include <memory>
#include <string_view>

namespace alcove::proxy {

class Tunnel {
 public:
  Tunnel(Exchange& exchange, std::unique_ptr<PodConn> pod);
  ~Tunnel();
  // Returns when both directions have ended, and has written the exchange's line in the log: nothing can be
  // answered any more.
  Awaitable<void> run();

 private:
  enum class From : std::uint8_t { client, pod };

  Awaitable<void> client_to_pod();
  Awaitable<void> finish(Awaitable<void>& client_to_pod);
  // Bytes are in the worker's buffer until something is awaited; none: there was nothing. Not good: the
  // direction has ended.
  struct Received {
    std::string_view bytes;
    bool good = true;
  };
  Received left_over(Buffer& in);
  template <class Source>
  Received receive(Source& source);
  // What can be sent at once. False: not all; the rest has to be awaited, or failed.
  bool send_now(From from, std::string_view& bytes, error_code& ec);
  Awaitable<bool> send_rest(From from, std::string_view rest, error_code ec);
  void moved(From from, std::string_view bytes);
  void limit();
  bool only_leaving(const error_code& ec) const;

  Exchange& exchange_;
  ClientConn& conn_;
  std::unique_ptr<PodConn> pod_;
  WebSocketWatch from_client_;
  WebSocketWatch from_pod_;
  bool client_ended_ = false;
  bool pod_ended_ = false;
  bool broken_ = false;  // neither direction goes on
  bool timed_out_ = false;
  bool took_leave_ = false;  // our close frame has been sent, the client's is awaited
};

}  // namespace alcove::proxy
