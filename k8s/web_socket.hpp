// WebSocket: one WebSocket of ours to the Kubernetes API, message by message, over the same way (TLS, client
// certificate, name to check) that HttpThread goes: libcurl 7.88 speaks none that waits on an executor. Knows
// HTTP and TLS and nothing of Kubernetes. Called by: pod_exec. Thread: the executor's. Owns: its connection.
// The io_context outlives it. Fails with: Errc::unavailable (no connection, it broke off or was closed),
// timeout (it did not open within HttpOrder::timeout), cancelled, limit (a message is too long), invalid (a
// URL or a certificate that is none, or a proxy: this goes through none).
//
// Back-pressure: nothing is read from the network but by read(), one message at a time. Who sits at a
// terminal may think, so silence ends nothing here, and while a read() waits, the other side gets pings:
// proxies in between cut what is silent for 20 to 50 s. (Kubernetes itself ends a command that is silent for
// 4 h, by its default: streaming-connection-idle-timeout.) A peer that acknowledges nothing, or takes
// nothing, for five minutes ends the connection.
#pragma once

#include "base/net.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "k8s/http_exchange.hpp"
#include "k8s/http_thread.hpp"

#include <memory>
#include <string>

namespace alcove::k8s {

class WebSocket {
 public:
  static constexpr std::size_t kMostMessage = 1 << 20;
  static constexpr int kOpened = 101;
  static constexpr Millis kPingEach{10'000};

  WebSocket() = default;
  virtual ~WebSocket() = default;
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  // Once. Status kOpened: it is open. Any other: what was answered instead. Whoever awaits one of these
  // functions keeps the WebSocket; one read() and one write() may wait at a time.
  virtual Awaitable<Result<HttpAnswer>> open() = 0;
  virtual Awaitable<Result<std::string>> read() = 0;
  virtual Awaitable<Result<void>> write(std::string message) = 0;
  // Closes the connection: whoever waits gets `cancelled`.
  virtual void cancel() = 0;
  // Of those that were offered, the one that the other side has chosen; empty: none.
  virtual const std::string& protocol() const = 0;
};

// Does nothing yet but look at what it was given. Of `order` the URL, the headers and the timeout count.
// `protocols`: what is offered, the best first, with commas between them.
Result<std::shared_ptr<WebSocket>> make_web_socket(Executor executor, const HttpWay& way, HttpOrder order,
                                                   std::string protocols,
                                                   Millis ping_each = WebSocket::kPingEach);

}  // namespace alcove::k8s
