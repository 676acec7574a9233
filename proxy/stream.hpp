// ClientStream: a client's TCP connection, plain or TLS, as one type, so that everything behind the listener
// is written once. Called by client_conn, exchange, relay, tunnel. Thread: the worker's. Owns the socket.
// try_* return at once; what is awaited is that another try is worth it.
#pragma once

#include "base/net.hpp"
#include "proxy/polled_socket.hpp"
#include "proxy/tls_session.hpp"

#include <optional>
#include <string_view>

namespace alcove::proxy {

class ClientStream {
 public:
  ClientStream(Poller& poller, Fd fd) : socket_(poller, std::move(fd)) {}

  PolledSocket& socket() { return socket_; }
  bool is_tls() const { return tls_.has_value(); }
  Awaitable<error_code> handshake(asio::ssl::context& context);

  // As in PolledSocket.
  std::size_t try_read(char* data, std::size_t size, error_code& ec) {
    return tls_ ? tls_->try_read(data, size, ec) : socket_.try_read(data, size, ec);
  }
  std::size_t try_write(const Gather& parts, error_code& ec) {
    return tls_ ? tls_->try_write(parts, ec) : socket_.try_write(parts, ec);
  }
  std::size_t try_write(std::string_view data, error_code& ec) {
    Gather parts;
    parts.add(data.data(), data.size());
    return try_write(parts, ec);
  }

  // Something may be there to be read: until then no buffer for it is needed.
  Readiness wait_readable() { return {socket_, false, tls_ && tls_->pending()}; }
  // After a try that would block: when to try again.
  Readiness again_to_read() { return again(false); }
  Readiness again_to_write() { return again(true); }

  // Says that nothing more will be sent; reading can go on.
  Awaitable<void> end_writing();

 private:
  // A TLS engine that reads may have to write first (RFC 8446 4.6.3), and the other way round.
  Readiness again(bool to_write) {
    if (tls_) to_write = tls_->wants_write();
    return to_write ? socket_.wait_writable() : socket_.wait_readable();
  }

  PolledSocket socket_;
  std::optional<TlsSession> tls_;
};

}  // namespace alcove::proxy
