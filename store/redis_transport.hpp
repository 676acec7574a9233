// RedisTransport: one TCP connection to the server, with TLS around it if the settings say so.
// Called by: redis_link. Thread: its io_context's; one read and one write at a time. Owns the socket.
// Every awaitable ends when close() is called, and must not outlive the transport. Fails with:
// Errc::unavailable.
#pragma once

#include "base/net.hpp"
#include "base/result.hpp"

#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace alcove {

using TlsContext = std::shared_ptr<asio::ssl::context>;  // null: plain TCP

// Verifies the server by `ca_file`, or by the system's certificates if it is empty. Throws
// std::runtime_error.
TlsContext make_redis_tls(const std::string& ca_file);

class RedisTransport {
 public:
  RedisTransport(Executor executor, TlsContext tls);

  // Name to address, TCP, TLS handshake with the name verified.
  Awaitable<Result<void>> connect(std::string host, std::uint16_t port);
  Awaitable<Result<std::size_t>> read_some(asio::mutable_buffer buffer);
  Awaitable<Result<void>> write(asio::const_buffer data);
  void close();

 private:
  Awaitable<Result<void>> connect_any(std::string host, std::uint16_t port);

  Socket& socket() { return stream_ ? stream_->next_layer() : *plain_; }

  TlsContext tls_;
  std::optional<Socket> plain_;
  std::optional<asio::ssl::stream<Socket>> stream_;
  asio::ip::basic_resolver<tcp, Executor> resolver_;
};

}  // namespace alcove
