// The relay's way from the client to the pod: the head, and the request's body beside the answer.
#include "proxy/relay.hpp"

namespace alcove::proxy {

// A piece of the request's body that is not passed on.
std::optional<Failure> Relay::refuse(const BodyReader::Piece& piece) const {
  if (piece.bad) return Failure{Side::client, Phase::body, 400, "malformed chunk in the request body", 0};
  const std::uint64_t most = exchange_.app_->body_limit;
  if (most == 0 || exchange_.bytes_in_ + piece.payload <= most) return std::nullopt;
  return Failure{Limit::body_limit,
                 Side::client,
                 Phase::body,
                 413,
                 "the request body is larger than " + std::to_string(most) + " bytes",
                 0};
}

// Sends the head together with what is there of the body: one write for most requests.
Awaitable<std::optional<Relay::Outcome>> Relay::send_head() {
  Exchange& ex = exchange_;
  ChunkSizeText size_text;
  BodyReader::Piece piece;
  // While the client waits for a 100 its body is not here; else the first piece rides along.
  if (!ex.facts_.expects_continue) piece = ex.take_body();
  if (auto refused = refuse(piece)) {
    outcome_.failure = std::move(refused);
    co_return outcome_;
  }
  Gather parts;
  parts.add(ex.pod_head_->data(), ex.pod_head_->size());
  const bool chunked = ex.facts_.body.kind == BodyKind::chunked;
  if (piece.payload > 0 || (chunked && ex.upload_.done() && piece.raw > 0))
    add_piece(parts, conn_.in.data(), piece.payload, chunked, ex.upload_.done(), size_text);

  limit_wait();
  metrics_.bytes_to_pods.add(parts.size());
  while (parts.size() > 0) {
    error_code ec;
    const std::size_t n = pod_.socket.try_write(parts, ec);
    sent_any_ |= n > 0;
    parts.consume(n);
    if (ec == asio::error::would_block) ec = co_await pod_.socket.wait_writable();
    if (ec) {
      pod_error_ = ec;
      // Bytes have gone out: its answer may be there already (an early 413), so go on reading. None: nobody
      // knows of it.
      if (sent_any_) {
        pod_refuses_body_ = true;
        break;
      }
      outcome_.failure = pod_failure("the pod closed the connection before the request was sent");
      // The piece stays where it is, so the request can be sent again as a whole only if it had no body.
      outcome_.retry = may_retry() && piece.raw == 0;
      co_return outcome_;
    }
  }
  ex.bytes_in_ += piece.payload;
  ex.consume_body();
  if (pod_refuses_body_) ex.upload_cut_ = true;
  co_return std::nullopt;
}

// The rest of the request body, read from the client and written to the pod.
Awaitable<std::optional<Failure>> Relay::upload_pieces() {
  Exchange& ex = exchange_;
  const bool chunked = ex.facts_.body.kind == BodyKind::chunked;
  ChunkSizeText size_text;
  while (!ex.upload_.done()) {
    if (conn_.in.empty()) {
      if (!ex.facts_.expects_continue || ex.bytes_in_ > 0) conn_.begin_upload_wait();
      error_code ec;
      const std::size_t n = co_await conn_.receive(ec);
      conn_.end_upload_wait(n);
      if (upload_stop_) co_return std::nullopt;
      if (n == 0) {
        if (conn_.too_slow())
          co_return Failure{
              Limit::body_rate, Side::client, Phase::body, 408, "the request body comes too slowly", 0};
        if (conn_.expired())
          co_return Failure{
              Limit::body_idle, Side::client, Phase::body, 408, "no byte of the request body in time", 0};
        co_return client_failure(Phase::body);
      }
      limit_wait();
    }
    const BodyReader::Piece piece = ex.take_body();
    if (auto refused = refuse(piece)) co_return refused;
    ex.bytes_in_ += piece.payload;
    Gather parts;
    add_piece(parts, conn_.in.data(), piece.payload, chunked, ex.upload_.done(), size_text);
    metrics_.bytes_to_pods.add(parts.size());
    while (parts.size() > 0 && !pod_refuses_body_) {
      error_code ec;
      const std::size_t n = pod_.socket.try_write(parts, ec);
      parts.consume(n);
      if (n > 0) limit_wait();
      if (ec == asio::error::would_block) ec = co_await pod_.socket.wait_writable();
      if (upload_stop_) co_return std::nullopt;
      if (ec) {
        // Whatever the pod has to say is still to be read: its answer ends the upload, not this.
        pod_refuses_body_ = true;
        ex.upload_cut_ = true;
        co_return std::nullopt;
      }
    }
    ex.consume_body();
    if (ex.route_ != nullptr && !ex.facts_.quiet)
      ex.worker_.activity.mark(*ex.route_, ActivityKind::body, conn_.worker.now());
  }
  co_return std::nullopt;
}

Awaitable<void> Relay::upload() {
  auto failure = co_await upload_pieces();
  if (failure) {
    upload_failure_ = std::move(failure);
    // The response side waits for the pod: let it see why.
    pod_.socket.cancel();
  }
  upload_running_ = false;
  if (exchange_.upload_.done()) limit_wait();
  upload_ended_->notify();
}

Awaitable<void> Relay::end_upload() {
  upload_stop_ = true;
  exchange_.upload_cut_ = true;
  while (upload_running_) {
    conn_.cancel();
    co_await upload_ended_->wait_until(SteadyClock::now() + Millis{50});
  }
}

}  // namespace alcove::proxy
