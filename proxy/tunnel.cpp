#include "proxy/tunnel.hpp"

namespace alcove::proxy {
namespace {

constexpr Millis kHalfClosed{30'000};       // how long the other direction may go on
constexpr unsigned kServiceRestart = 1012;  // the close code that tells a client to come back

}  // namespace

Tunnel::Tunnel(Exchange& exchange, PodConn& pod)
    : exchange_(exchange), conn_(exchange.conn_), pod_(pod), ended_(exchange.worker_.io.get_executor()) {
  conn_.set_pod(&pod_);
  exchange_.worker_.metrics.tunnels_now.add();
}
Tunnel::~Tunnel() {
  conn_.set_pod(nullptr);
  exchange_.worker_.metrics.tunnels_now.sub();
}

// The wait for one side was given up only because the time has come to take leave: nothing is wrong with it.
bool Tunnel::only_leaving(const error_code& ec) const {
  return ec == asio::error::operation_aborted && conn_.leaving() && !broken_ && !conn_.gone() &&
         !conn_.expired();
}

void Tunnel::limit() {
  // What has begun to end is not given more time.
  if (conn_.expired()) timed_out_ = true;
  if (took_leave_ || timed_out_) return;
  const bool half = from_client_.ended || from_pod_.ended;
  conn_.limit(half ? kHalfClosed : exchange_.settings_->timeouts.tunnel_idle);
}

void Tunnel::moved(From from, std::string_view bytes) {
  const bool data = (from == From::client ? from_client_ : from_pod_).watch.feed(bytes);
  (from == From::client ? exchange_.bytes_in_ : exchange_.bytes_out_) += bytes.size();
  const WebSocketActivity counts = exchange_.app_->websocket;
  if (counts == WebSocketActivity::bytes || (counts == WebSocketActivity::data && data)) {
    exchange_.worker_.activity.mark(*exchange_.route_, ActivityKind::websocket, conn_.worker.now());
    // Its session drains: the mark that rescues it must not wait for the next beat.
    if (!exchange_.route_->current) exchange_.worker_.activity.hurry();
  }
  limit();
}

Awaitable<std::optional<std::string_view>> Tunnel::read(From from) {
  // Bytes that came with the handshake or with its answer go first.
  Buffer& in = from == From::client ? conn_.in : pod_.in;
  std::vector<char>& lent = exchange_.worker_.tunnel_buffer;
  if (!in.empty()) {
    const std::size_t n = std::min(in.size(), lent.size());
    std::memcpy(lent.data(), in.data(), n);
    in.consume(n);
    in.release_if_empty();
    co_return std::string_view(lent.data(), n);
  }
  const bool from_client = from == From::client;
  for (;;) {
    if (!from_client && conn_.leaving() && from_pod_.watch.at_boundary()) co_return std::nullopt;
    error_code ec;
    if (from_client) {
      ec = co_await conn_.stream.wait_readable();
    } else {
      ec = co_await pod_.socket.wait_readable();
    }
    if (only_leaving(ec)) continue;
    if (ec) co_return std::nullopt;
    const std::size_t n = from_client ? conn_.stream.try_read(lent.data(), lent.size(), ec)
                                      : pod_.socket.try_read(lent.data(), lent.size(), ec);
    if (ec == asio::error::would_block) continue;
    if (ec && ec != asio::error::eof) broken_ = true;
    if (n == 0) co_return std::nullopt;
    co_return std::string_view(lent.data(), n);
  }
}

// The worker's buffer cannot be kept across a suspension: what is not taken at once is copied.
Awaitable<bool> Tunnel::write(From from, std::string_view bytes) {
  const bool to_pod = from == From::client;
  const auto try_write = [this, to_pod](std::string_view some, error_code& ec) {
    return to_pod ? pod_.socket.try_write(some, ec) : conn_.stream.try_write(some, ec);
  };
  error_code ec;
  const std::size_t sent = try_write(bytes, ec);
  if (sent == bytes.size()) co_return true;
  std::string& unsent = (to_pod ? from_client_ : from_pod_).unsent;
  unsent.assign(bytes.substr(sent));
  std::string_view left = unsent;
  for (;;) {
    if (ec == asio::error::would_block) {
      if (to_pod) {
        ec = co_await pod_.socket.wait_writable();
      } else {
        ec = co_await conn_.stream.again_to_write();
      }
    }
    if (ec && !only_leaving(ec)) co_return false;
    const std::size_t n = try_write(left, ec);
    left.remove_prefix(n);
    if (left.empty()) break;
    if (n > 0) limit();
  }
  std::string().swap(unsent);
  co_return true;
}

Awaitable<void> Tunnel::client_to_pod() {
  for (;;) {
    const auto bytes = co_await read(From::client);
    if (!bytes) break;
    moved(From::client, *bytes);
    const bool sent = co_await write(From::client, *bytes);
    if (!sent) {
      broken_ = true;
      break;
    }
  }
  from_client_.ended = true;
  pod_.socket.shutdown_send();
  limit();
  if (broken_) conn_.cancel();
  ended_.notify();
}

Awaitable<void> Tunnel::pod_to_client() {
  for (;;) {
    const auto bytes = co_await read(From::pod);
    if (!bytes) break;
    moved(From::pod, *bytes);
    const bool sent = co_await write(From::pod, *bytes);
    if (!sent) {
      broken_ = true;
      break;
    }
  }
  from_pod_.ended = true;
  if (conn_.leaving() && !broken_ && from_pod_.watch.at_boundary()) {
    co_await take_leave();
    co_return;
  }
  limit();
  if (!broken_) co_await conn_.stream.end_writing();
  if (broken_) conn_.cancel();
}

// RFC 6455 7.1.1: the client answers our close frame, which goes on to the pod as any frame does, and ends.
Awaitable<void> Tunnel::take_leave() {
  char buffer[4];
  const std::string frame(close_frame(kServiceRestart, buffer));
  const bool sent = co_await write(From::pod, frame);
  if (!sent) broken_ = true;
  conn_.limit(exchange_.settings_->timeouts.linger);
  took_leave_ = true;
}

Awaitable<std::optional<Failure>> Tunnel::run() {
  conn_.set_tunnel(true);
  conn_.watch_client(false);  // half-close is for the tunnel to see
  limit();
  launch(exchange_.worker_.io.get_executor(), client_to_pod());
  co_await pod_to_client();
  while (!from_client_.ended) {
    if (broken_ || conn_.gone() || conn_.expired()) conn_.cancel();
    co_await ended_.wait_until(SteadyClock::now() + Millis{250});
  }
  if (took_leave_ && !broken_ && !conn_.gone()) co_await conn_.stream.end_writing();
  conn_.set_tunnel(false);
  if (timed_out_ && !took_leave_)
    co_return Failure{Limit::tunnel_idle, Side::alcove, Phase::tunnel, 0, "the tunnel was idle too long", 0};
  co_return std::nullopt;
}

}  // namespace alcove::proxy
