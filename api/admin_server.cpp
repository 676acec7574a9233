#include "api/admin_server.hpp"

#include "api/admin_conn.hpp"
#include "base/log.hpp"

#include <fcntl.h>

namespace alcove {

AdminServer::AdminServer(asio::io_context& io, Parts parts)
    : io_(io),
      parts_(std::move(parts)),
      routes_(io.get_executor(), *parts_.store),
      acceptor_(io.get_executor()),
      pause_(io.get_executor()) {}

AdminServer::~AdminServer() = default;

Result<void> AdminServer::bind(ListeningSocket inherited) {
  const Endpoint& wanted = parts_.settings->admin.endpoint;
  error_code ec;
  if (inherited.fd && inherited.endpoint == wanted) {
    acceptor_.assign(wanted.protocol(), inherited.fd.get(), ec);
    if (ec) return Error{Errc::unavailable, "cannot take over the admin listener: " + ec.message()};
    inherited.fd.release();
    endpoint_ = wanted;
    return {};
  }
  const auto step = [&](auto&& call) {
    if (!ec) call();
  };
  step([&] { acceptor_.open(wanted.protocol(), ec); });
  step([&] { acceptor_.set_option(asio::socket_base::reuse_address(true), ec); });
  step([&] { acceptor_.bind(wanted, ec); });
  step([&] { acceptor_.listen(asio::socket_base::max_listen_connections, ec); });
  step([&] { endpoint_ = acceptor_.local_endpoint(ec); });
  if (ec) {
    std::string text = "cannot listen on " + to_string(wanted) + " (admin.address): " + ec.message();
    if (ec == asio::error::address_in_use)
      text += ". Is another alcove running? Choose another with --admin-listen ADDRESS:PORT or admin.address";
    return Error{Errc::unavailable, text};
  }
  return {};
}

void AdminServer::start() {
  launch(io_, accepting());
}

Result<ListeningSocket> AdminServer::duplicate() const {
  const int copy = ::fcntl(const_cast<Acceptor&>(acceptor_).native_handle(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return Error{Errc::unavailable, "cannot duplicate the admin listener's socket"};
  return ListeningSocket{endpoint_, Fd(copy)};
}

void AdminServer::stop_accepting() {
  error_code ignored;
  acceptor_.close(ignored);
}

Awaitable<void> AdminServer::accepting() {
  while (acceptor_.is_open()) {
    auto [ec, socket] = co_await acceptor_.async_accept(kTuple);
    if (stopping_ || (ec && !acceptor_.is_open())) break;
    if (ec) {
      // Out of descriptors, most likely: the listener must not spin on it.
      spdlog::warn("admin listener: cannot accept: {}", ec.message());
      pause_.expires_after(Millis{100});
      co_await pause_.async_wait(kTuple);
      continue;
    }
    if (connections_.size() >= kConnections) {
      spdlog::warn("admin listener: refused a connection, {} are open", connections_.size());
      continue;
    }
    launch(io_, AdminConn::serve(*this, std::move(socket)));
  }
}

void AdminServer::stop() {
  stopping_ = true;
  stop_accepting();
  pause_.cancel();
  routes_.end();
  for (AdminConn* connection : connections_) connection->close();
}

}  // namespace alcove
