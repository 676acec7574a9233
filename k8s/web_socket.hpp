// WebSocket: one WebSocket of ours to the Kubernetes API, message by message, over the same way (TLS, client
// certificate, name to check) that HttpThread goes: libcurl 7.88 speaks none that waits on an executor. Knows
// HTTP and TLS and nothing of Kubernetes. Called by: pod_exec. Thread: the executor's. Owns: its connection.
// The io_context outlives it. Fails with: Errc::unavailable (no connection, it broke off or was closed),
// timeout (it did not open within HttpOrder::timeout), cancelled, limit (a message is too long), invalid (a
// URL or a certificate that is none, or a proxy: this goes through none).
//
// Back-pressure: nothing is read from the network but by read(), one message at a time. What was sent and
// never acknowledged ends the connection after half a minute; there is no other limit on silence, since who
// sits at a terminal may think.
#pragma once

#include "base/net.hpp"
#include "base/result.hpp"
#include "k8s/http_exchange.hpp"
#include "k8s/http_thread.hpp"

#include <memory>
#include <string>

namespace alcove::k8s {

class WebSocket {
 public:
  static constexpr std::size_t kMostMessage = 1 << 20;
  static constexpr int kOpened = 101;

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
                                                   std::string protocols);

}  // namespace alcove::k8s
