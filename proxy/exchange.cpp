#include "proxy/exchange.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "proxy/head_rules.hpp"
#include "proxy/own_pages.hpp"
#include "proxy/pages.hpp"
#include "proxy/relay.hpp"
#include "proxy/tunnel.hpp"

namespace alcove::proxy {
namespace {

// Reused connections that turn out to be dead. Dials are bounded by time instead.
constexpr std::uint32_t kMostStale = 8;
constexpr Millis kSuccessorWait{1'000};  // until the store has noticed that a pod died

std::int64_t micros(SteadyClock::duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

// A person looks at this in a browser's window: only then a page instead of the app's answer makes sense.
bool is_navigation(const RequestHead& head) {
  if (head.verb != http::verb::get || head.websocket) return false;
  const HeadField* accept = head.find(http::field::accept);
  if (accept == nullptr || accept->value.find("text/html") == std::string_view::npos) return false;
  const HeadField* mode = head.find("Sec-Fetch-Mode");
  return mode == nullptr || mode->value == "navigate";
}

bool is_idempotent(http::verb verb) {
  switch (verb) {
    case http::verb::get:
    case http::verb::head:
    case http::verb::options:
    case http::verb::trace:
    case http::verb::put:
    case http::verb::delete_:
      return true;
    default:
      return false;
  }
}

bool same_origin(const RequestHead& head) {
  if (const HeadField* site = head.find("Sec-Fetch-Site"); site != nullptr)
    return site->value == "same-origin" || site->value == "none";
  const HeadField* origin = head.find(http::field::origin);
  if (origin == nullptr) return true;
  const auto scheme_end = origin->value.find("://");
  return scheme_end != std::string_view::npos && iequals(origin->value.substr(scheme_end + 3), head.host);
}

// As a header value: what is not printable ASCII is percent-encoded, and '%' with it, so that it can be
// undone.
std::string header_value(std::string_view user) {
  for (const char c : user)
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || c == '%')
      return percent_encode(user);
  return std::string(user);
}

SessionPolicy policy_of(const AppSettings& app) {
  return {app.idle_timeout, app.max_lifetime, app.drain_grace, app.stop_grace};
}

bool starts_with_any(std::string_view path, const std::vector<std::string>& prefixes) {
  for (const std::string& prefix : prefixes)
    if (path.substr(0, prefix.size()) == prefix) return true;
  return false;
}

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
  // Steps 2 to 5: all that needs the head, before anything is awaited.
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

std::optional<Failure> Exchange::prepare(std::size_t head_size) {
  RequestHead& head = worker_.request_head;
  const std::string_view bytes = conn_.in.view().substr(0, head_size);
  const HeadLimits limits{settings_->limits.head_bytes, settings_->limits.head_fields};
  if (auto failure = parse_request_head(bytes, limits, head)) {
    facts_.body.kind = BodyKind::until_close;  // nobody knows where this request ends
    upload_ = BodyReader(facts_.body);
    return failure;
  }
  remember(head);
  facts_.http11 = head.http11;
  facts_.keep_alive = head.keep_alive;
  facts_.head_only = head.verb == http::verb::head;
  facts_.html = is_navigation(head);
  facts_.idempotent = is_idempotent(head.verb);
  facts_.websocket = head.websocket;
  facts_.expects_continue = head.expects_continue;
  facts_.body = head.body;
  upload_ = BodyReader(head.body);

  const Route route = worker_.router->route(head.host, head.path);
  const Identity::Answer who = worker_.identity->identify(head, conn_.peer);
  std::optional<Failure> failure;
  if (route.kind == Route::Kind::nothing) {
    failure = Failure{Side::client, Phase::head, 404, route.why, 0};
  } else if (route.kind == Route::Kind::malformed) {
    failure = Failure{Side::client, Phase::head, 400, route.why, 0};
    upload_cut_ = true;  // who sends such a head means something else by it: the connection ends
  } else if (who.verdict == Identity::Verdict::refused) {
    failure = Failure{Side::client, Phase::head, 400, who.why, 0};
  } else if (route.kind == Route::Kind::own) {
    own_ = std::make_unique<OwnRequest>();
    const auto question = head.path.find('?');
    own_->path = head.path.substr(0, question);
    if (question != std::string_view::npos) own_->query = head.path.substr(question + 1);
    own_->post = head.verb == http::verb::post;
    own_->get = head.verb == http::verb::get || head.verb == http::verb::head;
    own_->same_origin = same_origin(head);
    if (who.principal != nullptr)
      own_->user = who.principal->user, own_->session_name = who.principal->session_name;
    if (route.app != nullptr) own_->app = route.app->name;
  } else if (who.verdict == Identity::Verdict::nobody) {
    failure = Failure{Side::client, Phase::head, 401,
                      "nobody is signed in; sign in, or come through the trusted proxy", 0};
  } else {
    user_ = who.principal->user;
    if (route.kind == Route::Kind::environment) {
      failure = enter_environment(route, *who.principal);
    } else {
      app_ = route.app;
      worker_.key_text.assign(app_->name).append(1, '/').append(who.principal->session_name);
      if (CachedRoute* known = worker_.resolver.known(worker_.key_text, began_)) {
        source_ = "cache";
        facts_.quiet = starts_with_any(facts_.path, app_->quiet_paths);
        use_route(known);
      } else {
        key_ = SessionKey(app_->name, who.principal->session_name);
      }
    }
    if (!failure && app_ != nullptr) {
      facts_.quiet = starts_with_any(facts_.path, app_->quiet_paths);
      if (app_->body_limit > 0 && head.body.kind == BodyKind::length && head.body.length > app_->body_limit)
        failure = Failure{Limit::body_limit,
                          Side::client,
                          Phase::head,
                          413,
                          "the request body has " + std::to_string(head.body.length) + " bytes; at most " +
                              std::to_string(app_->body_limit) + " are taken",
                          0};
    }
    if (!failure && route_ == nullptr) {
      static const WakeSettings kUsual;  // an environment's app is known only after the lookup
      facts_.sleep = why_not_wake(head, app_ != nullptr ? app_->wake : kUsual);
    }
    if (!failure) write_pod_head(route);
  }
  conn_.in.consume(head_size);
  return failure;
}

// The head's own bytes are gone once something has been awaited.
void Exchange::remember(const RequestHead& head) {
  told_->append(head.method).append(head.host).append(head.path);
  const std::string_view all = *told_;
  facts_.method = all.substr(0, head.method.size());
  facts_.host = all.substr(head.method.size(), head.host.size());
  facts_.path = all.substr(head.method.size() + head.host.size());
}

// name--scope.DOMAIN: where scope is an app and the name is one's own it is the ordinary session; else the
// record says whose it is, which only the store knows.
std::optional<Failure> Exchange::enter_environment(const Route& route, const Principal& principal) {
  app_ = settings_->find_app(route.scope);
  key_ = SessionKey(route.scope, route.name);
  environment_ = app_ == nullptr || route.name != principal.session_name;
  return std::nullopt;
}

Awaitable<void> Exchange::check_environment() {
  auto session = co_await worker_.store->lookup(key_);
  if (!session) {
    failure_ = Failure{Side::store, Phase::lookup, 503, session.error().text, 2};
    co_return;
  }
  // The same answer for what does not exist and for what is not theirs: nobody learns which names are taken.
  const bool theirs = session->state != State::absent && session->user == user_;
  app_ = theirs ? settings_->find_app(session->app) : nullptr;
  if (app_ == nullptr)
    failure_ =
        Failure{Side::client, Phase::lookup, 404, "there is no such environment, or it is not yours", 0};
}

void Exchange::write_pod_head(const Route& route) {
  const RequestHead& head = worker_.request_head;
  // An environment's app is known only after the lookup; what its head needs of the app are defaults.
  static const AppSettings kUnknownApp{};
  const AppSettings& app = app_ != nullptr ? *app_ : kUnknownApp;
  const std::string user = header_value(user_);
  RequestRules rules;
  rules.peer_trusted = contains(settings_->trusted_proxies, conn_.peer);
  rules.peer_address = conn_.peer_text;
  rules.tls = conn_.stream.is_tls();
  rules.port = conn_.local_port;
  rules.request_id = {id_.data(), id_.size()};
  rules.host = app.host_header;
  rules.identity_header = app.identity_header;
  rules.user = user;
  rules.jwt_header = app.identity_jwt.header;
  rules.jwt = worker_.identity->pod_jwt(app, user_, key_.empty() ? worker_.key_text : key_.text());
  rules.private_cookie = worker_.identity->private_cookie();
  rules.private_headers = &worker_.identity->private_headers();
  rules.strip = route.strip;
  write_request_head(head, rules, *pod_head_);
}

// A polling path is no sign of a user: it uses the pod that runs, but neither rescues nor starts one.
Awaitable<void> Exchange::find_quietly() {
  if (key_.empty()) {
    failure_ = Failure{Side::alcove, Phase::lookup, 503, "the pod is not reachable now", 5};
    co_return;
  }
  auto session = co_await worker_.store->lookup(key_);
  if (!session) {
    failure_ = Failure{Side::store, Phase::lookup, 503, session.error().text, 5};
  } else if (session->state != State::ready) {
    failure_ = Failure{Side::alcove, Phase::lookup, 503, "no pod runs, and this path does not start one", 5};
  } else {
    source_ = "store";
    use_route(worker_.routes.insert(session->key, session->generation, session->endpoint, session->pod_uid));
  }
}

// Step 6. Waits for the pod: until it is ready (route_), its start has failed, the deadline, or the client
// leaves (failure_); neither: it is time to show a browser the waiting page. Thousands wait here at once, so
// what comes before and after the wait is not in this frame.
Awaitable<void> Exchange::hold() {
  if (!enter_hold()) co_return;
  const SteadyTime entered = SteadyClock::now();
  const SteadyTime page_at = facts_.html ? began_ + app_->waiting_page_after : SteadyTime::max();
  {
    WaitingRooms::Seat seat(worker_.rooms,
                            {key_, app_->name, user_, policy_of(*app_), facts_.sleep == Sleep::none});
    conn_.set_seat(&seat);
    conn_.watch_client(true);
    bool show_page = false;
    while (!seat.settled() && !conn_.gone()) {
      const SteadyTime now = SteadyClock::now();
      show_page = now >= page_at;
      if (show_page || now >= hold_until_) break;
      co_await seat.wait(std::min(hold_until_, page_at));
    }
    conn_.set_seat(nullptr);
    take_outcome(seat, show_page);
  }
  leave_hold(entered);
}

bool Exchange::enter_hold() {
  const LimitSettings& limits = settings_->limits;
  const auto verdict = worker_.shared.holds.enter(user_, limits.holds, limits.holds_per_user);
  if (verdict == HoldBudget::Verdict::granted) {
    worker_.metrics.holds_now.add();
    conn_.in.release_if_empty();
    return true;
  }
  worker_.metrics.holds[static_cast<std::size_t>(HoldOutcome::refused)].add();
  const bool mine = verdict == HoldBudget::Verdict::too_many_for_user;
  failure_ = Failure{
      mine ? Limit::holds_per_user : Limit::holds,
      Side::alcove,
      Phase::hold,
      503,
      mine ? "too many of your requests are waiting for a pod" : "too many requests are waiting for pods",
      2};
  return false;
}

void Exchange::take_outcome(WaitingRooms::Seat& seat, bool show_page) {
  if (seat.route() != nullptr) {
    use_route(seat.route());
    ready_at_ = seat.ready_at();
  } else if (seat.failure()) {
    failure_ = seat.failure();
  } else if (seat.not_woken()) {
    failure_ = not_woken(facts_.sleep);
    worker_.metrics.not_woken[static_cast<std::size_t>(facts_.sleep)].add();
  } else if (conn_.gone()) {
    failure_ = Failure{Side::client, Phase::hold, 0, "the client has left", 0};
  } else if (!show_page && (!seat.store_problem().empty() || seat.session().state == State::absent)) {
    // Absent is what nobody has been told otherwise: the store has said nothing at all.
    const std::string& problem = seat.store_problem();
    failure_ = Failure{Side::store, Phase::lookup, 503,
                       "the store cannot be reached: " + (problem.empty() ? "no answer yet" : problem), 5};
  } else if (!show_page) {
    failure_ = Failure{Limit::hold_timeout,
                       Side::runtime,
                       Phase::hold,
                       504,
                       "the pod is still " + std::string(name_of(seat.session().state)) +
                           "; it did not become ready in time",
                       0};
  }
}

void Exchange::leave_hold(SteadyTime entered) {
  WorkerMetrics& metrics = worker_.metrics;
  const SteadyClock::duration held = SteadyClock::now() - entered;
  metrics.holds_now.sub();
  worker_.shared.holds.leave(user_);
  metrics.hold_time.observe(held);
  hold_us_ = std::max<std::int64_t>(hold_us_, 0) + micros(held);
  HoldOutcome outcome = HoldOutcome::waiting_page;
  if (route_ != nullptr) {
    outcome = HoldOutcome::served;
    // An answer within a round trip was a lookup, not a wait.
    source_ = hold_us_ < 20'000 ? "store" : "hold";
    from_hold_ = true;
  } else if (failure_) {
    outcome = failure_->side == Side::client ? HoldOutcome::client_gone
              : failure_->status == 504      ? HoldOutcome::expired
              : failure_->status == 424      ? HoldOutcome::not_woken
                                             : HoldOutcome::failed;
  }
  metrics.holds[static_cast<std::size_t>(outcome)].add();
}

Awaitable<Exchange::After> Exchange::show_waiting_page() {
  Page page = waiting_page(app_->name, user_, "/.alcove/wait?session=" + percent_encode(key_.text()));
  source_ = "hold";
  Reply waiting{202,
                "text/html; charset=utf-8",
                std::move(page.html),
                {{"Content-Security-Policy", std::move(page.csp)}},
                nullptr,
                false};
  const After after = co_await reply(std::move(waiting));
  log();
  co_return after;
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
  const error_code ec = co_await worker_.pods.connect(*pod, route_->endpoint);
  conn_.set_pod(nullptr);
  dial_us_ = micros(SteadyClock::now() - began);
  if (ec) pod.reset();
  co_return pod;
}

// Refused is not dead, and dead is soon known to the store: drop the route, wait a little, ask again. False:
// it is time to give up.
Awaitable<bool> Exchange::dial_again_later() {
  Millis& pause = setbacks().pause;
  if (key_.empty()) key_ = route_->key;
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
  if (setbacks_ != nullptr && setbacks_->broken_off && route_->pod_uid == setbacks_->dead_uid) {
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
        if (key_.empty()) key_ = route_->key;
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
    setbacks_->dead_uid = route_->pod_uid;
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
  line.session = route_ != nullptr ? std::string_view(route_->key.text()) : std::string_view(key_.text());
  const std::string pod = route_ != nullptr ? to_string(route_->endpoint) : std::string();
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
  line.total_us = micros(total);
  worker_.access_log.write(line);
}

}  // namespace alcove::proxy
