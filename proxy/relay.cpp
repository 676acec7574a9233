#include "proxy/relay.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "proxy/head_rules.hpp"

#include <charconv>

namespace alcove::proxy {
namespace {

constexpr std::int64_t kMostBusy_s = 10LL * 365 * 24 * 3600;  // more is no duration but a mistake

constexpr std::size_t kSmall = 2048;  // bytes: copied sooner than gathered

}  // namespace

Relay::Relay(Exchange& exchange, PodConn& pod)
    : exchange_(exchange),
      conn_(exchange.conn_),
      pod_(pod),
      metrics_(exchange.worker_.metrics),
      head_(exchange.worker_.heads) {
  conn_.set_pod(&pod_);
}
Relay::~Relay() {
  conn_.set_pod(nullptr);
}

// First failure wins: a client that has left, or time that is up, is the cause of the aborted read that we
// see.
Failure Relay::pod_failure(const char* what) const {
  if (upload_failure_) return *upload_failure_;
  if (conn_.gone())
    return {Side::client, outcome_.answered ? Phase::body : Phase::response, 0, "the client has left", 0};
  const Phase phase = outcome_.answered ? Phase::body : Phase::response;
  if (conn_.too_slow())
    return {Limit::body_rate, Side::client, Phase::body, 408, "the request body comes too slowly", 0};
  if (conn_.expired())
    return {outcome_.answered ? Limit::body_idle : Limit::response_timeout,
            Side::pod,
            phase,
            504,
            "the pod did not answer in time",
            0};
  std::string text = what;
  if (pod_error_ && pod_error_ != asio::error::eof) text += ": " + pod_error_.message();
  return {Side::pod, phase, 502, std::move(text), 0};
}

Failure Relay::client_failure(Phase phase) const {
  if (conn_.expired()) return {Limit::body_idle, Side::client, phase, 0, "the client was too slow", 0};
  return {Side::client, phase, 0, "the client has left", 0};
}

// Rule 12. A fresh connection that fails after bytes were sent may have been acted upon; a reused one that
// dies without a byte of answer had most likely been closed by the pod before it saw the request.
bool Relay::may_retry() const {
  if (got_any_ || upload_failure_ || conn_.gone() || conn_.expired()) return false;
  if (!sent_any_) return true;
  return pod_.reused && exchange_.facts_.idempotent && exchange_.facts_.body.kind == BodyKind::none;
}

bool Relay::may_go_to_successor() const {
  return !got_any_ && !upload_failure_ && !conn_.gone() && !conn_.expired() && exchange_.facts_.idempotent &&
         exchange_.facts_.body.kind == BodyKind::none;
}

// Once the answer has begun, its own limits rule.
void Relay::limit_wait() {
  if (outcome_.answered) return;
  // A client that asked for a 100 and has sent nothing waits for the pod.
  const bool body_is_due =
      upload_running_ && !(exchange_.facts_.expects_continue && exchange_.bytes_in_ == 0);
  conn_.limit(body_is_due ? exchange_.settings_->timeouts.body_idle : exchange_.app_->response_timeout);
}

// What is there, or would_block in pod_error_.
std::size_t Relay::read_from_pod() {
  // The upload has failed while nobody was reading here, so its cancel met nothing.
  if (upload_failure_) {
    pod_error_ = asio::error::operation_aborted;
    return 0;
  }
  if (pod_.in.space_size() == 0) pod_.in.compact();
  char* const space = pod_.in.space();
  const std::size_t n = pod_.socket.try_read(space, pod_.in.space_size(), pod_error_);
  pod_.in.commit(n);
  got_any_ |= n > 0;
  return n;
}

Awaitable<std::size_t> Relay::receive_from_pod() {
  for (;;) {
    if (!upload_failure_) {
      pod_.in.release_if_empty();  // an answer may be silent for hours
      pod_error_ = co_await pod_.socket.wait_readable();
      if (pod_error_) co_return 0;
    }
    const std::size_t n = read_from_pod();
    if (pod_error_ != asio::error::would_block) co_return n;
  }
}

// What the client takes at once, which is nearly always all. An error is met again by who waits for the rest.
void Relay::begin_to_write(Gather& parts) {
  metrics_.bytes_to_clients.add(parts.size());
  error_code ignored;
  if (parts.size() > 0) parts.consume(conn_.stream.try_write(parts, ignored));
}

Awaitable<bool> Relay::write_rest(Gather parts) {
  while (parts.size() > 0) {
    error_code ec;
    const std::size_t n = conn_.stream.try_write(parts, ec);
    parts.consume(n);
    if (n > 0) conn_.limit(exchange_.settings_->timeouts.body_idle);
    if (ec == asio::error::would_block) ec = co_await conn_.stream.again_to_write();
    if (ec) co_return false;
  }
  co_return true;
}

// Reads heads until the final one, passes on every 1xx (rule 6), and sends the final head with what has come
// of the body.
// The pod knows better than anyone when it works though nobody asks it anything.
void Relay::note_busy(const ResponseHead& head) {
  const HeadField* said = head.find("X-Alcove-Busy-For");
  const Millis most = exchange_.app_->busy_limit;
  if (said == nullptr || most == Millis{0} || exchange_.route_ == nullptr) return;
  std::int64_t seconds = 0;
  const std::string_view text = said->value;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (ec != std::errc() || end != text.data() + text.size() || seconds < 0 || seconds > kMostBusy_s) {
    spdlog::debug("{}: X-Alcove-Busy-For must be seconds, such as 600, not \"{}\"", exchange_.route_->key(),
                  printable(text, 40));
    return;
  }
  exchange_.worker_.activity.busy(*exchange_.route_, std::min(most, Millis{seconds * 1000}),
                                  conn_.worker.now());
}

// One small piece is sent more cheaply than several. All of them are behind the head.
void Relay::join_small(Gather& parts) {
  if (parts.count() < 2 || parts.size() > kSmall) return;
  for (std::size_t i = 1; i < parts.count(); ++i)
    head_->append(static_cast<const char*>(parts.data()[i].iov_base), parts.data()[i].iov_len);
  parts = {};
  parts.add(head_->data(), head_->size());
}

Awaitable<std::optional<Relay::Outcome>> Relay::response_head() {
  Exchange& ex = exchange_;
  const HeadLimits limits{ex.settings_->limits.head_bytes, ex.settings_->limits.head_fields * 2};
  std::size_t line = 0;
  std::size_t end = 0;
  for (;;) {
    const HeadScan scan = find_head_end(pod_.in.view(), line, end);
    if (scan == HeadScan::malformed || (scan == HeadScan::incomplete && pod_.in.full())) {
      outcome_.failure =
          Failure{Side::pod, Phase::response, 502,
                  scan == HeadScan::malformed ? "the pod's answer has a malformed head"
                                              : "the pod's answer has a head that is too large",
                  0};
      co_return outcome_;
    }
    if (scan == HeadScan::incomplete) {
      pod_error_ = {};
      if (!upload_failure_) pod_error_ = co_await pod_.socket.wait_readable();
      const std::size_t n = pod_error_ ? 0 : read_from_pod();
      if (pod_error_ == asio::error::would_block) continue;
      if (n == 0) {
        outcome_.failure = pod_failure(got_any_ ? "the pod closed the connection within its answer's head"
                                                : "the pod closed the connection without an answer");
        outcome_.retry = may_retry();
        outcome_.successor = may_go_to_successor();
        co_return outcome_;
      }
      if (ex.first_us_ < 0) ex.first_us_ = to_micros(SteadyClock::now() - ex.began_);
      continue;
    }

    ResponseHead& head = ex.worker_.response_head;
    if (auto failure =
            parse_response_head(pod_.in.view().substr(0, end), limits, ex.facts_.head_only, head)) {
      outcome_.failure = std::move(failure);
      co_return outcome_;
    }
    if (head.status == 101 && !(ex.facts_.websocket && head.websocket)) {
      outcome_.failure =
          Failure{Side::pod, Phase::response, 502, "the pod switched protocols without being asked", 0};
      co_return outcome_;
    }
    ResponseRules rules;
    rules.client_http11 = ex.facts_.http11;
    rules.private_cookie = ex.worker_.identity->private_cookie();
    head_->clear();
    if (head.status < 200 && head.status != 101) {
      write_response_head(head, rules, *head_);
      pod_.in.consume(end);
      line = 0;
      if (!ex.facts_.http11) continue;  // rule 7
      Gather parts;
      parts.add(head_->data(), head_->size());
      begin_to_write(parts);
      bool sent = parts.size() == 0;
      if (!sent) sent = co_await write_rest(parts);
      if (!sent) {
        outcome_.failure = client_failure(Phase::response);
        co_return outcome_;
      }
      continue;
    }

    note_busy(head);
    download_ = BodyReader(head.body);
    const AnswerFraming framing = answer_framing(head.body, ex.facts_.http11);
    chunk_to_client_ = framing == AnswerFraming::chunked;
    // A final status before the end of the body ends the upload (rule 6): the connection cannot be used
    // again.
    final_keep_alive_ = ex.can_keep_alive() && ex.request_read() && framing != AnswerFraming::until_close;
    rules.keep_alive = final_keep_alive_;
    rules.chunked = chunk_to_client_;
    write_response_head(head, rules, *head_);
    ex.status_ = static_cast<int>(head.status);
    outcome_.tunnel = head.status == 101;
    const HeadField* type = head.find(http::field::content_type);
    const bool events = type != nullptr && iequals(type->value.substr(0, 17), "text/event-stream");
    body_idle_ = events ? ex.settings_->timeouts.event_idle : ex.settings_->timeouts.body_idle;
    outcome_.keep_pod = head.keep_alive && head.body.kind != BodyKind::until_close && !outcome_.tunnel;
    pod_.in.consume(end);

    ChunkSizeText size_text;
    Gather parts;
    parts.add(head_->data(), head_->size());
    const BodyReader::Piece piece = outcome_.tunnel ? BodyReader::Piece{} : download_.next(pod_.in);
    if (piece.bad) {
      outcome_.failure = Failure{Side::pod, Phase::response, 502, "malformed chunk in the pod's answer", 0};
      co_return outcome_;
    }
    // Head, size, payload and end are one gather of four; a body that ends here without payload needs its
    // last chunk.
    add_piece(parts, pod_.in.data(), piece.payload, chunk_to_client_,
              download_.done() && head.body.kind == BodyKind::chunked, size_text);
    outcome_.answered = true;
    conn_.limit(ex.settings_->timeouts.body_idle);
    join_small(parts);
    begin_to_write(parts);
    bool sent = parts.size() == 0;
    if (!sent) sent = co_await write_rest(parts);
    if (!sent) {
      outcome_.failure = client_failure(Phase::response);
      co_return outcome_;
    }
    ex.bytes_out_ += piece.payload;
    pod_.in.consume(piece.raw);
    co_return std::nullopt;
  }
}

Awaitable<std::optional<Failure>> Relay::response_body() {
  Exchange& ex = exchange_;
  ChunkSizeText size_text;
  while (!download_.done()) {
    if (pod_.in.empty()) {
      conn_.limit(body_idle_);
      const std::size_t n = co_await receive_from_pod();
      if (n == 0) {
        if (download_.ends_at_close() && pod_error_ == asio::error::eof) {
          Gather parts;
          add_piece(parts, nullptr, 0, chunk_to_client_, true, size_text);
          begin_to_write(parts);
          bool sent = parts.size() == 0;
          if (!sent) sent = co_await write_rest(parts);
          if (!sent) co_return client_failure(Phase::body);
          co_return std::nullopt;
        }
        co_return pod_failure("the pod closed the connection within its answer");
      }
    }
    const BodyReader::Piece piece = download_.next(pod_.in);
    if (piece.bad) co_return Failure{Side::pod, Phase::body, 0, "malformed chunk in the pod's answer", 0};
    Gather parts;
    add_piece(parts, pod_.in.data(), piece.payload, chunk_to_client_,
              download_.done() && download_.kind() == BodyKind::chunked, size_text);
    if (parts.size() > 0) {
      conn_.limit(ex.settings_->timeouts.body_idle);
      begin_to_write(parts);
      bool sent = parts.size() == 0;
      if (!sent) sent = co_await write_rest(parts);
      if (!sent) co_return client_failure(Phase::body);
      ex.bytes_out_ += piece.payload;
      if (ex.route_ != nullptr && !ex.facts_.quiet)
        ex.worker_.activity.mark(*ex.route_, ActivityKind::body, conn_.worker.now());
    }
    pod_.in.consume(piece.raw);
  }
  co_return std::nullopt;
}

Awaitable<Relay::Outcome> Relay::run() {
  conn_.watch_client(true);
  conn_.begin_upload();
  if (auto over = co_await send_head()) co_return std::move(*over);
  if (!exchange_.upload_.done() && !pod_refuses_body_) {
    upload_ended_.emplace(exchange_.worker_.io.get_executor());
    upload_running_ = true;
    limit_wait();
    launch(exchange_.worker_.io.get_executor(), upload());
  }
  auto over = co_await response_head();
  if (!over && !outcome_.tunnel && !download_.done()) {
    auto failure = co_await response_body();
    outcome_.failure = std::move(failure);
  }
  if (upload_running_) co_await end_upload();
  if (outcome_.failure) {
    outcome_.keep_pod = false;
  } else {
    outcome_.keep_client = final_keep_alive_ && exchange_.request_read();
    outcome_.keep_pod = outcome_.keep_pod && exchange_.request_read() && pod_.in.empty();
  }
  co_return outcome_;
}

}  // namespace alcove::proxy
