#include "proxy/stream.hpp"

namespace alcove::proxy {

Awaitable<error_code> ClientStream::handshake(asio::ssl::context& context) {
  tls_.emplace(socket_, context);
  for (;;) {
    error_code ec = tls_->try_handshake();
    if (ec != asio::error::would_block) co_return ec;
    ec = co_await again(false);
    if (ec) co_return ec;
  }
}

Awaitable<void> ClientStream::end_writing() {
  if (!tls_) {
    socket_.shutdown_send();
    co_return;
  }
  while (tls_->try_close_notify() == asio::error::would_block) {
    const error_code given_up = co_await again(true);
    if (given_up) break;
  }
}

}  // namespace alcove::proxy
