// ClientStream: a client's TCP connection, plain or TLS, as one type, so that everything behind the listener
// is written once. Called by client_conn, exchange, relay, tunnel. Thread: the worker's. Owns the socket. It
// is an Asio AsyncReadStream and AsyncWriteStream; try_write sends without suspending, which on a plain
// socket is nearly always all there is to do.
#pragma once

#include "base/net.hpp"

#include <boost/asio/ssl/stream.hpp>

#include <memory>
#include <string>
#include <utility>

namespace alcove::proxy {

class ClientStream {
 public:
  using executor_type = Executor;
  using Tls = asio::ssl::stream<Socket&>;

  explicit ClientStream(Socket socket) : socket_(std::move(socket)) {}
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;

  executor_type get_executor() { return socket_.get_executor(); }
  Socket& socket() { return socket_; }
  bool is_tls() const { return tls_ != nullptr; }
  Tls& tls() { return *tls_; }
  Tls& start_tls(asio::ssl::context& context) {
    tls_ = std::make_unique<Tls>(socket_, context);
    return *tls_;
  }

  // The bytes by which TLS says that nothing more will be sent (close_notify, RFC 8446 6.1), for the socket
  // itself. Unlike async_shutdown it waits for nothing, so that reading can go on. Empty if said already. Not
  // while a write is under way.
  std::string close_notify();

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, std::size_t)>(
        [](auto handler, ClientStream* self, const Buffers& b) {
          if (self->tls_) {
            self->tls_->async_read_some(b, std::move(handler));
          } else {
            self->socket_.async_read_some(b, std::move(handler));
          }
        },
        token, this, buffers);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, std::size_t)>(
        [](auto handler, ClientStream* self, const Buffers& b) {
          if (self->tls_) {
            self->tls_->async_write_some(b, std::move(handler));
          } else {
            self->socket_.async_write_some(b, std::move(handler));
          }
        },
        token, this, buffers);
  }

  // Sends what the socket takes at once; 0 with TLS, whose engine cannot be left half-way. An error comes
  // back from the awaited write that follows.
  template <class Buffers>
  std::size_t try_write(const Buffers& buffers) {
    if (tls_) return 0;
    error_code ec;
    return socket_.write_some(buffers, ec);
  }

 private:
  Socket socket_;
  std::unique_ptr<Tls> tls_;
};

}  // namespace alcove::proxy
