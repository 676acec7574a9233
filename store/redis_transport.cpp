#include "store/redis_transport.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>

#include <stdexcept>
#include <vector>

namespace alcove {
namespace {

Error unreachable(const error_code& ec) {
  if (ec == asio::error::eof) return {Errc::unavailable, "the server closed the connection"};
  return {Errc::unavailable, ec.message()};
}

}  // namespace

TlsContext make_redis_tls(const std::string& ca_file) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  context->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
  context->set_verify_mode(asio::ssl::verify_peer);
  error_code ec;
  if (ca_file.empty())
    context->set_default_verify_paths(ec);
  else
    context->load_verify_file(ca_file, ec);
  if (ec)
    throw std::runtime_error(fmt::format("store: the CA certificates {} cannot be read: {}",
                                         ca_file.empty() ? "of the system" : ca_file, ec.message()));
  return context;
}

RedisTransport::RedisTransport(Executor executor, TlsContext tls)
    : tls_(std::move(tls)), resolver_(executor) {
  if (tls_)
    stream_.emplace(Socket(executor), *tls_);
  else
    plain_.emplace(executor);
}

Awaitable<Result<void>> RedisTransport::connect_any(std::string host, std::uint16_t port) {
  error_code not_an_address;
  const auto address = asio::ip::make_address(host, not_an_address);
  std::vector<tcp::endpoint> endpoints;
  if (!not_an_address) {
    endpoints.emplace_back(address, port);
  } else {
    const std::string service = std::to_string(port);
    auto [ec, found] = co_await resolver_.async_resolve(host, service, kTuple);
    if (ec) co_return unreachable(ec);
    for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  }
  auto [ec, chosen] = co_await asio::async_connect(socket(), endpoints, kTuple);
  if (ec) co_return unreachable(ec);
  error_code ignored;
  socket().set_option(tcp::no_delay(true), ignored);
  co_return Result<void>();
}

Awaitable<Result<void>> RedisTransport::connect(std::string host, std::uint16_t port) {
  const Result<void> connected = co_await connect_any(host, port);
  if (!connected || !stream_) co_return connected;
  error_code not_an_address;
  asio::ip::make_address(host, not_an_address);
  if (not_an_address)
    SSL_ctrl(stream_->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data());
  stream_->set_verify_callback(asio::ssl::host_name_verification(host));
  auto [ec] = co_await stream_->async_handshake(asio::ssl::stream_base::client, kTuple);
  if (ec) co_return Error{Errc::unavailable, "TLS: " + ec.message()};
  co_return Result<void>();
}

Awaitable<Result<std::size_t>> RedisTransport::read_some(asio::mutable_buffer buffer) {
  error_code failed;
  std::size_t count = 0;
  if (stream_) {
    auto [ec, n] = co_await stream_->async_read_some(buffer, kTuple);
    failed = ec;
    count = n;
  } else {
    auto [ec, n] = co_await plain_->async_read_some(buffer, kTuple);
    failed = ec;
    count = n;
  }
  if (failed) co_return unreachable(failed);
  co_return count;
}

Awaitable<Result<void>> RedisTransport::write(asio::const_buffer data) {
  error_code failed;
  if (stream_) {
    auto [ec, n] = co_await asio::async_write(*stream_, data, kTuple);
    failed = ec;
  } else {
    auto [ec, n] = co_await asio::async_write(*plain_, data, kTuple);
    failed = ec;
  }
  if (failed) co_return unreachable(failed);
  co_return Result<void>();
}

void RedisTransport::close() {
  error_code ignored;
  resolver_.cancel();
  socket().close(ignored);
}

}  // namespace alcove
