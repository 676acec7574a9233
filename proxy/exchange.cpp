#include "proxy/exchange.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "proxy/own_pages.hpp"
#include "proxy/relay.hpp"
#include "proxy/tunnel.hpp"

namespace alcove::proxy {
namespace {

// Reused connections that turn out to be dead. Dials are bounded by time instead.
constexpr std::uint32_t kMostStale = 8;
constexpr Millis kSuccessorWait{1'000};  // until the store has noticed that a pod died

}  // namespace

Exchange::Exchange(ClientConn& conn)
    : conn_(conn),
      worker_(conn.worker),
      settings_(conn.worker.settings),
      id_(conn.worker.next_request_id()),
      began_(SteadyClock::now()),
      told_(worker_.texts),
      pod_head_(worker_.heads) {}

Exchange::~Exchange() {
  use_route(nullptr);
}

// Counts this exchange as activity of the route for as long as it lasts (but for polling paths).
void Exchange::use_route(RoutePtr route) {
  if (in_flight_) worker_.activity.end(*route_, SteadyClock::now());
  in_flight_ = false;
  route_ = std::move(route);
  in_flight_ = route_ != nullptr && !facts_.quiet;
  if (in_flight_) worker_.activity.begin(*route_, SteadyClock::now());
}

Awaitable<Exchange::After> Exchange::run(std::size_t head_size) {
  conn_.unlimited();
  // Steps 3 to 5: all that needs the head, before anything is awaited.
  failure_ = prepare(head_size);
  if (failure_) co_return co_await answer();
  if (own_ != nullptr) co_return co_await serve_own_page();
  if (environment_) co_await check_environment();
  if (failure_) co_return co_await answer();
  // Steps 6 to 8, again while the pod turns out to have gone and nothing has been lost.
  hold_until_ = began_ + app_->hold_timeout;
  for (;;) {
    if (route_ == nullptr && facts_.quiet) co_await find_quietly();
    if (route_ == nullptr && !failure_) co_await hold();
    if (failure_) co_return co_await answer();
    if (route_ == nullptr) co_return co_await show_waiting_page();
    const std::optional<After> after = co_await try_pod();
    if (!after) continue;
    if (*after != After::tunnel) log();
    co_return *after;
  }
}

Awaitable<Exchange::After> Exchange::serve_own_page() {
  OwnPages pages(*this);
  OwnRequest request = std::move(*own_);
  const After after = co_await pages.serve(std::move(request));
  log();
  co_return after;
}

Awaitable<void> Exchange::tunnel() {
  pod_head_.release();
  if (app_->websocket != WebSocketActivity::open && in_flight_) {
    worker_.activity.end(*route_, SteadyClock::now());
    in_flight_ = false;
  }
  return tunnel_->run();
}

// Step 7. A connection that is kept, or nullptr.
std::unique_ptr<PodConn> Exchange::take_idle() {
  ++tries_;
  const bool can_repeat = facts_.idempotent && facts_.body.kind == BodyKind::none;
  auto pod = worker_.pods.take(*route_, !can_repeat);
  reused_ = pod != nullptr;
  return pod;
}

// Step 7. nullptr: could not connect.
Awaitable<std::unique_ptr<PodConn>> Exchange::connect() {
  const SteadyTime began = SteadyClock::now();
  auto pod = worker_.pods.make();
  conn_.set_pod(pod.get());
  conn_.limit(settings_->timeouts.connect);
  conn_.watch_client(true);
  const error_code ec = co_await worker_.pods.connect(*pod, route_->endpoint.unpacked());
  conn_.set_pod(nullptr);
  dial_us_ = to_micros(SteadyClock::now() - began);
  if (ec) pod.reset();
  co_return pod;
}

// Refused is not dead, and dead is soon known to the store: drop the route, wait a little, ask again. False:
// it is time to give up.
Awaitable<bool> Exchange::dial_again_later() {
  Millis& pause = setbacks().pause;
  if (key_.empty()) key_ = route_->session_key();
  worker_.resolver.suspect(*route_);
  use_route(nullptr);
  if (SteadyClock::now() + pause >= hold_until_) co_return false;
  Timer timer(worker_.io.get_executor(), pause);
  co_await timer.async_wait(kTuple);
  pause = std::min(pause * 2, Millis{500});
  co_return true;
}

Exchange::Setbacks& Exchange::setbacks() {
  if (setbacks_ == nullptr) setbacks_ = std::make_unique<Setbacks>();
  return *setbacks_;
}

// Steps 7 and 8. Nothing: the pod turned out to have gone, and the request may be tried again.
Awaitable<std::optional<Exchange::After>> Exchange::try_pod() {
  if (setbacks_ != nullptr && setbacks_->broken_off && route_->pod_uid() == setbacks_->dead_uid) {
    const bool again = co_await dial_again_later();
    if (again && SteadyClock::now() < setbacks_->successor_until) co_return std::nullopt;
    co_return co_await answer(std::move(*setbacks_->broken_off));
  }
  std::unique_ptr<PodConn> pod = take_idle();
  if (pod == nullptr) pod = co_await connect();
  if (conn_.gone()) co_return co_await answer({Side::client, Phase::dial, 0, "the client has left", 0});
  if (pod == nullptr) {
    const bool again = co_await dial_again_later();
    if (again) co_return std::nullopt;
    co_return co_await answer({Side::pod, Phase::dial, 502, "the pod cannot be connected to", 0});
  }
  if (from_hold_) {
    worker_.metrics.ready_to_first_byte.observe(SteadyClock::now() - ready_at_);
    from_hold_ = false;
  }
  Relay::Outcome outcome;
  {
    Relay relay(*this, *pod);
    outcome = co_await relay.run();
  }
  if (outcome.retry && (!reused_ || stale_connections_ < kMostStale)) {
    worker_.metrics.retries.add();
    if (reused_) {
      ++stale_connections_;
      // The pod may be gone by now, and its address another's: only a route that still stands is dialled.
      if (!route_->current || !worker_.activity.lease_runs(SteadyClock::now())) {
        if (key_.empty()) key_ = route_->session_key();
        use_route(nullptr);
      }
      co_return std::nullopt;
    }
    // Accepted and closed before a byte was sent: a pod that is not quite there yet, or no more.
    pod.reset();
    const bool again = co_await dial_again_later();
    if (again) co_return std::nullopt;
  }
  // A pod that was killed takes connections for a moment longer. It never sees a request twice; the pod
  // that comes after it may be sent one that changes nothing, once.
  if (outcome.successor && !setbacks().broken_off) {
    worker_.metrics.retries.add();
    setbacks_->dead_uid = route_->pod_uid();
    setbacks_->broken_off = std::move(outcome.failure);
    setbacks_->successor_until = SteadyClock::now() + kSuccessorWait;
    co_return std::nullopt;
  }
  if (outcome.failure && !outcome.answered) co_return co_await answer(std::move(*outcome.failure));
  if (outcome.failure) {
    failure_ = std::move(outcome.failure);
    co_return After::abort;
  }
  if (outcome.tunnel) {
    tunnel_ = std::make_unique<Tunnel>(*this, std::move(pod));
    co_return After::tunnel;
  }
  pod->suspect = facts_.head_only || status_ == 204 || status_ == 304;
  if (outcome.keep_pod) worker_.pods.put(*route_, std::move(pod), worker_.now() + app_->pod_idle);
  co_return outcome.keep_client ? After::keep_alive : After::close;
}

BodyReader::Piece Exchange::take_body() {
  const BodyReader::Piece piece = upload_.next(conn_.in);
  taken_ = piece.raw;
  if (piece.bad) upload_cut_ = true;
  return piece;
}

void Exchange::consume_body() {
  conn_.in.consume(taken_);
  taken_ = 0;
}

// What is here of a body that nobody wants. If that is all of it, the connection can go on.
void Exchange::drop_body() {
  consume_body();
  while (!upload_.done() && !upload_cut_ && !conn_.in.empty()) {
    take_body();
    consume_body();
  }
}

bool Exchange::can_keep_alive() const {
  const std::uint32_t most = settings_->limits.requests_per_connection;
  return facts_.keep_alive && !worker_.draining() && (most == 0 || conn_.requests < most);
}

ReplyContext Exchange::reply_context() const {
  ReplyContext context;
  context.request_id = {id_.data(), id_.size()};
  context.http11 = facts_.http11;
  context.keep_alive = can_keep_alive() && request_read();
  context.head_only = facts_.head_only;
  context.html = facts_.html;
  return context;
}

Awaitable<Exchange::After> Exchange::answer(Failure failure) {
  failure_ = std::move(failure);
  return answer();
}

Awaitable<Exchange::After> Exchange::answer() {
  use_route(nullptr);
  if (failure_->status == 0) {
    last_after_ = After::abort;
  } else if (failure_->status == 401 && facts_.html && worker_.identity->dev() != nullptr) {
    Reply to_sign_in{303,     "",   "", {{"Location", "/.alcove/sign-in?to=" + percent_encode(facts_.path)}},
                     nullptr, false};
    failure_.reset();
    last_after_ = co_await reply(std::move(to_sign_in));
  } else {
    Reply error = error_reply(*failure_, reply_context());
    last_after_ = co_await reply(std::move(error));
  }
  log();
  co_return last_after_;
}

// Sends an answer of our own. What is already here of the request's body is dropped; if that was all, the
// connection can go on.
Awaitable<Exchange::After> Exchange::reply(Reply own) {
  drop_body();
  own_reply_ = true;
  status_ = own.status;
  worker_.metrics.own_replies.add();
  const ReplyContext context = reply_context();
  std::string text;
  write_reply(own, context, text);
  bytes_out_ += own.body.size();
  const bool sent = co_await conn_.send(text);
  last_after_ = !sent ? After::abort : context.keep_alive ? After::keep_alive : After::close;
  co_return last_after_;
}

Awaitable<void> Exchange::refuse(ClientConn& conn, Failure failure) {
  Exchange exchange(conn);
  exchange.facts_.body.kind = BodyKind::until_close;
  exchange.upload_ = BodyReader(exchange.facts_.body);
  co_await exchange.answer(std::move(failure));
}

void Exchange::log() {
  if (logged_) return;
  logged_ = true;
  WorkerMetrics& metrics = worker_.metrics;
  const SteadyClock::duration total = SteadyClock::now() - began_;
  if (failure_) metrics.fail(*failure_);
  if (settings_->limits.requests_per_connection != 0 &&
      conn_.requests == settings_->limits.requests_per_connection)
    metrics.met(Limit::requests_per_connection);
  metrics.requests_by_class[static_cast<std::size_t>(status_ / 100) % 6].add();
  if (status_ != 101) metrics.latency.observe(total);
  if (!settings_->log.access) return;
  AccessLine line;
  line.request_id = {id_.data(), id_.size()};
  line.client = conn_.peer_text;
  line.method = facts_.method;
  line.host = facts_.host;
  line.path = facts_.path.substr(0, facts_.path.find('?'));
  line.session = route_ != nullptr ? route_->key() : std::string_view(key_.text());
  const std::string pod = route_ != nullptr ? to_string(route_->endpoint.unpacked()) : std::string();
  line.pod = pod;
  line.source = own_reply_ && source_.empty() ? "own" : source_;
  line.status = status_;
  if (failure_) line.end = end_code(*failure_);
  line.bytes_in = bytes_in_;
  line.bytes_out = bytes_out_;
  line.reused = reused_;
  line.tries = tries_;
  line.hold_us = hold_us_;
  line.dial_us = dial_us_;
  line.first_us = first_us_;
  line.total_us = to_micros(total);
  worker_.access_log.write(line);
}

}  // namespace alcove::proxy
