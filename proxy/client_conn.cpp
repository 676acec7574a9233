#include "proxy/client_conn.hpp"

#include "proxy/exchange.hpp"
#include "proxy/pod_pool.hpp"
#include "proxy/respond.hpp"

#include <random>

namespace alcove::proxy {
namespace {

constexpr Millis kRateWindow{10'000};
// While draining. A client that has just had an answer sends its next request at once or not soon; one that
// has connected and sent nothing is owed more patience.
constexpr Millis kIdleAfterAnswer{1'000};
constexpr Millis kIdleAfterConnect{5'000};

}  // namespace

Awaitable<void> ClientConn::serve(Worker& worker, Fd socket, std::shared_ptr<asio::ssl::context> tls,
                                  asio::ip::address address, std::uint16_t port) {
  // However it ends: the last connection ends a drain.
  struct Leave {
    Worker& worker;
    const asio::ip::address& address;
    ~Leave() {
      worker.shared.connections.leave(address);
      worker.closed();
    }
  } leave{worker, address};
  ClientConn conn(worker, std::move(socket), address, port);
  co_await conn.run(std::move(tls));
}

ClientConn::ClientConn(Worker& w, Fd socket, asio::ip::address address, std::uint16_t port)
    : worker(w),
      stream(w.poller, std::move(socket)),
      in(w.buffers),
      peer(address),
      peer_text(address.to_string()),
      local_port(port) {
  worker.connections.enter(*this);
  stream.socket().set_end_listener(this);
  worker.metrics.connections.add();
  worker.metrics.connections_now.add();
}

ClientConn::~ClientConn() {
  worker.connections.leave(*this);
  worker.metrics.connections_now.sub();
}

void ClientConn::cancel_pod() {
  if (pod_ != nullptr) pod_->socket.cancel();
}

void ClientConn::cancel() {
  stream.socket().cancel();
  cancel_pod();
  if (seat_ != nullptr) seat_->interrupt();
}

void ClientConn::begin_upload_wait() {
  upload_rate_.since = worker.now();
  worker.connections.by(*this, rate_window_end());
}

void ClientConn::end_upload_wait(std::size_t received) {
  if (upload_rate_.waiting())
    upload_rate_.waited += std::chrono::duration_cast<Millis>(worker.now() - upload_rate_.since);
  upload_rate_.since = SteadyTime::max();
  upload_rate_.bytes += received;
}

SteadyTime ClientConn::rate_window_end() const {
  if (!upload_rate_.waiting()) return SteadyTime::max();
  return upload_rate_.since + kRateWindow - upload_rate_.waited;
}

void ClientConn::check_upload_rate(SteadyTime now) {
  if (now < rate_window_end()) return;
  const std::uint64_t least = std::uint64_t{worker.settings->limits.body_rate} * (kRateWindow.count() / 1000);
  too_slow_ = upload_rate_.bytes < least;
  upload_rate_ = {0, Millis{0}, now};
}

SteadyTime ClientConn::on_tick(SteadyTime now) {
  check_upload_rate(now);
  if (now >= deadline_) expired_ = true;
  const bool to_be_closed = between_requests_ && worker.draining();
  if (to_be_closed && now - idle_since_ >= (requests > 0 ? kIdleAfterAnswer : kIdleAfterConnect))
    expired_ = true;
  if (watch_client_ && !gone_) gone_ = stream.socket().await_end();
  if (tunnel_ && !leaving_ && now >= leave_at_) {
    leaving_ = true;
    cancel_pod();  // wakes the direction that writes the close frame
  }
  const bool over = expired_ || gone_ || too_slow_;
  if (over) cancel();
  if (over || to_be_closed) return kNextTick;
  SteadyTime next = std::min(deadline_, rate_window_end());
  if (tunnel_ && !leaving_) next = std::min(next, leave_at_);
  return next;
}

void ClientConn::on_drain() {
  if (tunnel_) leave_at_ = worker.tunnel_end();
  look_at_next_tick();
}

void ClientConn::set_tunnel(bool on) {
  tunnel_ = on;
  if (!on || !worker.draining()) return;
  leave_at_ = worker.tunnel_end();
  look_at_next_tick();
}

void ClientConn::set_between_requests(bool on) {
  if (on && !between_requests_) idle_since_ = worker.now();
  between_requests_ = on;
  if (on && worker.draining()) look_at_next_tick();
}

void ClientConn::end() {
  gone_ = true;
  cancel();
  look_at_next_tick();
}

Awaitable<bool> ClientConn::send(std::string_view data) {
  limit(worker.settings->timeouts.body_idle);
  while (!data.empty()) {
    error_code ec;
    const std::size_t n = stream.try_write(data, ec);
    data.remove_prefix(n);
    if (n > 0) limit(worker.settings->timeouts.body_idle);
    if (ec == asio::error::would_block) ec = co_await stream.again_to_write();
    if (ec) co_return false;
  }
  co_return true;
}

std::size_t ClientConn::receive_now(error_code& ec) {
  char* const space = in.space();
  const std::size_t n = stream.try_read(space, in.space_size(), ec);
  in.commit(n);
  return n;
}

// An idle connection holds no buffer.
Awaitable<std::size_t> ClientConn::receive(error_code& ec) {
  for (;;) {
    const std::size_t n = receive_now(ec);
    if (ec != asio::error::would_block) co_return n;
    in.release_if_empty();
    ec = co_await stream.again_to_read();
    if (ec) co_return 0;
  }
}

Awaitable<bool> ClientConn::handshake(asio::ssl::context& context) {
  limit(worker.settings->timeouts.head);
  const error_code ec = co_await stream.handshake(context);
  if (ec && expired_) worker.metrics.met(Limit::head);
  co_return !ec;
}

Awaitable<std::size_t> ClientConn::read_head() {
  const TimeoutSettings timeouts = worker.settings->timeouts;  // a copy: a reload frees the settings
  std::size_t line = 0;
  std::size_t end = 0;
  bool started = false;
  bool idle = false;
  in.compact();
  for (;;) {
    // Empty lines before a request line are left over from clients that end a body with one (RFC 9112 2.2).
    while (!started && in.size() >= 2 && in.view().substr(0, 2) == "\r\n") in.consume(2);
    if (!in.empty()) {
      if (!started) limit(timeouts.head);
      started = in.view() != "\r";
      set_between_requests(false);
      if (started && in.view().front() == '\r') {
        co_await refuse_head(false);
        co_return 0;
      }
      switch (find_head_end(in.view(), line, end)) {
        case HeadScan::complete:
          if (end <= most_head_bytes()) co_return end;
          co_await refuse_head(true);
          co_return 0;
        case HeadScan::malformed:
          co_await refuse_head(false);
          co_return 0;
        case HeadScan::incomplete:
          break;
      }
      if (in.size() >= most_head_bytes()) {
        co_await refuse_head(true);
        co_return 0;
      }
      in.compact();
    } else {
      in.release_if_empty();
      if (!std::exchange(idle, true)) limit(timeouts.client_idle);  // empty lines do not make it longer
      set_between_requests(true);
      const error_code given_up = co_await stream.wait_readable();
      if (given_up) {
        // What has arrived in the moment in which the wait was given up is still a request.
        if (gone_ || !stream.socket().available()) co_return 0;
        limit(timeouts.head);
      }
    }
    error_code ec;
    std::size_t n = receive_now(ec);
    if (ec == asio::error::would_block) n = co_await receive(ec);
    if (n == 0) {
      if (expired() && started) {
        const Failure late{Limit::head, Side::client, Phase::head, 408, "the request head took too long", 0};
        refused_ = true;
        co_await Exchange::refuse(*this, late);
      }
      co_return 0;
    }
  }
}

// The buffers are as large as the limit was at start: a limit raised by a reload counts up to that.
std::size_t ClientConn::most_head_bytes() const {
  return std::min<std::size_t>(worker.settings->limits.head_bytes, worker.buffers.block_bytes());
}

Awaitable<void> ClientConn::refuse_head(bool oversized) {
  refused_ = true;
  const HeadLimits limits{static_cast<std::uint32_t>(most_head_bytes()), worker.settings->limits.head_fields};
  const Failure failure =
      oversized
          ? oversized_head(in.view(), limits)
          : Failure{Side::client, Phase::head, 400,
                    "malformed head: a line does not end in CR LF, or is folded (RFC 9112 2.2, 5.2)", 0};
  co_await Exchange::refuse(*this, failure);
}

// What the client still sends is read and dropped for a while, so that the answer is not lost to a reset
// (rule 24).
Awaitable<void> ClientConn::linger() {
  stream.socket().shutdown_send();
  limit(worker.settings->timeouts.linger);
  error_code ec;
  while (!gone_ && !expired_ && !ec) {
    in.consume(in.size());
    char* const space = in.space();
    stream.socket().try_read(space, in.space_size(), ec);
    if (ec == asio::error::would_block) {
      in.release_if_empty();
      ec = co_await stream.socket().wait_readable();
    }
  }
}

Awaitable<void> ClientConn::run(std::shared_ptr<asio::ssl::context> tls) {
  if (tls != nullptr) {
    const bool shaken = co_await handshake(*tls);
    if (!shaken) co_return;
  }
  bool polite = true;
  bool unread = false;  // bytes may still come that nobody will answer
  for (;;) {
    const std::size_t head_size = co_await read_head();
    if (head_size == 0) {
      unread = refused_;
      break;
    }
    ++requests;
    Exchange exchange(*this);
    const Exchange::After after = co_await exchange.run(head_size);
    if (after == Exchange::After::tunnel) co_await exchange.tunnel();
    watch_client(false);
    if (after == Exchange::After::keep_alive) {
      // Who sends many requests at once gets their answers without a read between them.
      if (!in.empty()) co_await stream.socket().take_turn();
      continue;
    }
    polite = after == Exchange::After::close;
    unread = polite;
    break;
  }
  clear_too_slow();
  // By TLS a client can tell an end from a cut.
  if (polite && stream.is_tls() && !gone_) {
    limit(worker.settings->timeouts.linger);
    co_await stream.end_writing();
  }
  if (unread && !gone_) co_await linger();
}

}  // namespace alcove::proxy
