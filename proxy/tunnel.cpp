#include "proxy/tunnel.hpp"

namespace alcove::proxy {
namespace {

constexpr Millis kHalfClosed{30'000};       // how long the other direction may go on
constexpr unsigned kServiceRestart = 1012;  // the close code that tells a client to come back

}  // namespace

Tunnel::Tunnel(Exchange& exchange, std::unique_ptr<PodConn> pod)
    : exchange_(exchange), conn_(exchange.conn_), pod_(std::move(pod)) {
  conn_.set_pod(pod_.get());
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
  const bool half = client_ended_ || pod_ended_;
  conn_.limit(half ? kHalfClosed : exchange_.settings_->timeouts.tunnel_idle);
}

void Tunnel::moved(From from, std::string_view bytes) {
  const bool data = (from == From::client ? from_client_ : from_pod_).feed(bytes);
  (from == From::client ? exchange_.bytes_in_ : exchange_.bytes_out_) += bytes.size();
  const WebSocketActivity counts = exchange_.app_->websocket;
  if (counts == WebSocketActivity::bytes || (counts == WebSocketActivity::data && data)) {
    exchange_.worker_.activity.mark(*exchange_.route_, ActivityKind::websocket, conn_.worker.now());
    // Its session may drain: the mark that rescues it must not wait for the next beat.
    if (!exchange_.route_->current) exchange_.worker_.activity.hurry_a_little();
  }
  limit();
}

// Bytes that came with the handshake or with its answer. The worker's buffer is no smaller than theirs.
Tunnel::Received Tunnel::left_over(Buffer& in) {
  std::vector<char>& lent = exchange_.worker_.tunnel_buffer;
  const std::size_t n = in.size();
  if (n > 0) std::memcpy(lent.data(), in.data(), n);
  in.consume(n);
  in.release_if_empty();
  return {{lent.data(), n}, true};
}

template <class Source>
Tunnel::Received Tunnel::receive(Source& source) {
  std::vector<char>& lent = exchange_.worker_.tunnel_buffer;
  error_code ec;
  const std::size_t n = source.try_read(lent.data(), lent.size(), ec);
  if (ec == asio::error::would_block) return {};
  if (ec && ec != asio::error::eof) broken_ = true;
  return {{lent.data(), n}, n > 0};
}

bool Tunnel::send_now(From from, std::string_view& bytes, error_code& ec) {
  const std::size_t sent =
      from == From::client ? pod_->socket.try_write(bytes, ec) : conn_.stream.try_write(bytes, ec);
  bytes.remove_prefix(sent);
  return bytes.empty();
}

// The worker's buffer cannot be kept across a suspension, so what was not taken at once is copied, before the
// first one.
Awaitable<bool> Tunnel::send_rest(From from, std::string_view rest, error_code ec) {
  const std::string unsent(rest);
  std::string_view left = unsent;
  while (!broken_) {
    if (ec == asio::error::would_block) {
      if (from == From::client) {
        ec = co_await pod_->socket.wait_writable();
      } else {
        ec = co_await conn_.stream.again_to_write();
      }
    }
    if (ec && !only_leaving(ec)) co_return false;
    const std::size_t before = left.size();
    const bool all = send_now(from, left, ec);
    if (all) co_return true;
    if (left.size() < before) limit();
  }
  co_return false;
}

Awaitable<void> Tunnel::client_to_pod() {
  Received got = left_over(conn_.in);
  while (got.good && !broken_) {
    if (!got.bytes.empty()) {
      moved(From::client, got.bytes);
      error_code ec;
      if (!send_now(From::client, got.bytes, ec)) {
        const bool sent = co_await send_rest(From::client, got.bytes, ec);
        if (!sent) broken_ = true;
        if (!sent) break;
      }
      got.bytes = {};
    }
    const error_code ec = co_await conn_.stream.wait_readable();
    if (only_leaving(ec)) continue;
    if (ec) break;
    got = receive(conn_.stream);
  }
  client_ended_ = true;
  pod_->socket.shutdown_send();
  limit();
  if (broken_) conn_.cancel();
}

Awaitable<void> Tunnel::run() {
  conn_.set_tunnel(true);
  conn_.watch_client(false);  // half-close is for the tunnel to see
  limit();
  Awaitable<void> client_to_pod = this->client_to_pod();
  co_await client_to_pod.beside();
  Received got = left_over(pod_->in);
  while (got.good && !broken_) {
    if (!got.bytes.empty()) {
      moved(From::pod, got.bytes);
      error_code ec;
      if (!send_now(From::pod, got.bytes, ec)) {
        const bool sent = co_await send_rest(From::pod, got.bytes, ec);
        if (!sent) broken_ = true;
        if (!sent) break;
      }
      got.bytes = {};
    }
    if (conn_.leaving() && from_pod_.at_boundary()) break;
    const error_code ec = co_await pod_->socket.wait_readable();
    if (only_leaving(ec)) continue;
    if (ec) break;
    got = receive(pod_->socket);
  }
  pod_ended_ = true;
  co_await finish(client_to_pod);
  exchange_.log();
}

// What comes after the pod's end. A coroutine of its own: as long as the tunnel rests its frame is not there.
Awaitable<void> Tunnel::finish(Awaitable<void>& client_to_pod) {
  if (conn_.leaving() && !broken_ && from_pod_.at_boundary()) {
    // RFC 6455 7.1.1: the client answers our close frame, which goes on to the pod as any frame does, and
    // ends.
    char buffer[4];
    const bool sent = co_await send_rest(From::pod, close_frame(kServiceRestart, buffer), {});
    if (!sent) broken_ = true;
    conn_.limit(exchange_.settings_->timeouts.linger);
    took_leave_ = true;
  } else {
    limit();
    if (!broken_) co_await conn_.stream.end_writing();
  }
  // What has gone or is too late is cancelled by the tick.
  if (broken_) conn_.cancel();
  co_await std::move(client_to_pod);
  if (took_leave_ && !broken_ && !conn_.gone()) co_await conn_.stream.end_writing();
  conn_.set_tunnel(false);
  if (timed_out_ && !took_leave_)
    exchange_.failure_ =
        Failure{Limit::tunnel_idle, Side::alcove, Phase::tunnel, 0, "the tunnel was idle too long", 0};
}

}  // namespace alcove::proxy
