// ClientStream: a client's TCP connection, plain or TLS, as one type, so that everything behind the listener
// is written once. Called by client_conn, exchange, relay, tunnel. Thread: the worker's. Owns the socket. It
// is an Asio AsyncReadStream and AsyncWriteStream; try_write sends without suspending, which on a plain
// socket is nearly always all there is to do.
#pragma once

#include "base/net.hpp"

#include <boost/asio/ssl/stream.hpp>

#include <array>
#include <memory>
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

// Up to four pieces that are sent as one (head, chunk size, payload, chunk end); consume() after a partial
// write.
class Gather {
 public:
  void add(const void* data, std::size_t size) {
    if (size > 0) parts_[count_++] = asio::const_buffer(data, size);
  }
  std::size_t size() const {
    std::size_t total = 0;
    for (std::size_t i = first_; i < count_; ++i) total += parts_[i].size();
    return total;
  }
  void consume(std::size_t n) {
    while (n > 0) {
      const std::size_t step = std::min(n, parts_[first_].size());
      parts_[first_] += step;
      n -= step;
      if (parts_[first_].size() == 0) ++first_;
    }
  }
  // Asio's ConstBufferSequence
  using value_type = asio::const_buffer;
  using const_iterator = const asio::const_buffer*;
  const_iterator begin() const { return parts_.data() + first_; }
  const_iterator end() const { return parts_.data() + count_; }

 private:
  std::array<asio::const_buffer, 4> parts_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace alcove::proxy
