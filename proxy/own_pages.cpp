#include "proxy/own_pages.hpp"

#include "base/text.hpp"
#include "proxy/hold.hpp"
#include "proxy/pages.hpp"
#include "proxy/relay.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace alcove::proxy {
namespace {

constexpr std::size_t kMostForm = 16 * 1024;
constexpr Millis kPlaceInterval{1'000};  // how often a queue place is looked up while it is shown
constexpr Millis kComment{15'000};       // keeps intermediaries from closing a silent stream

std::string text_of(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Awaitable<Exchange::After> OwnPages::page(int status, std::string html, std::string csp) {
  Reply reply{status,          "text/html; charset=utf-8",
              std::move(html), {{"Content-Security-Policy", std::move(csp)}},
              nullptr,         false};
  co_return co_await exchange_.reply(std::move(reply));
}

Awaitable<Exchange::After> OwnPages::go(std::string to, std::string set_cookie) {
  Reply reply{303, "", "", {{"Location", std::move(to)}}, nullptr, false};
  if (!set_cookie.empty()) reply.fields.emplace_back("Set-Cookie", std::move(set_cookie));
  co_return co_await exchange_.reply(std::move(reply));
}

Awaitable<Exchange::After> OwnPages::serve(OwnRequest request) {
  const bool dev = exchange_.worker_.identity->dev() != nullptr;
  const std::string path = request.path;
  if (path == "/.alcove/wait" && request.get && !exchange_.facts_.head_only)
    co_return co_await wait_events(std::move(request));
  if (path == "/.alcove/sign-in" && dev) co_return co_await sign_in(std::move(request));
  if (path == "/.alcove/account" && request.get) {
    if (request.user.empty()) co_return co_await go("/.alcove/sign-in?to=%2F.alcove%2Faccount", "");
    Page account = account_page(request.user);
    co_return co_await page(200, std::move(account.html), std::move(account.csp));
  }
  if (path == "/.alcove/sign-out" && request.post && dev) {
    if (!request.same_origin)
      co_return co_await exchange_.answer(
          {Side::client, Phase::head, 403, "a form of another site cannot sign you out", 0});
    co_return co_await sign_out();
  }
  if (path == "/.alcove/signed-out" && request.get) {
    Page out = signed_out_page();
    co_return co_await page(200, std::move(out.html), std::move(out.csp));
  }
  co_return co_await exchange_.answer(
      {Side::client, Phase::head, 404, "Alcove has no page at " + printable(path, 80), 0});
}

Awaitable<std::optional<std::string>> OwnPages::read_form() {
  ClientConn& conn = exchange_.conn_;
  BodyReader& body = exchange_.upload_;
  std::string form;
  if (exchange_.facts_.expects_continue) {
    const bool sent = co_await conn.send("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return std::nullopt;
  }
  while (!body.done()) {
    if (conn.in.empty()) {
      conn.limit(exchange_.settings_->timeouts.head);
      error_code ec;
      const std::size_t n = co_await conn.receive(ec);
      if (n == 0) co_return std::nullopt;
    }
    const BodyReader::Piece piece = exchange_.take_body();
    if (piece.bad || form.size() + piece.payload > kMostForm) co_return std::nullopt;
    form.append(conn.in.data(), piece.payload);
    exchange_.consume_body();
  }
  co_return form;
}

Awaitable<Exchange::After> OwnPages::sign_in(OwnRequest request) {
  std::string to;
  if (!request.post) {
    if (!form_value(request.query, "to", to) || !is_local_path(to)) to = "/";
    Page form = sign_in_page(to, "");
    co_return co_await page(200, std::move(form.html), std::move(form.csp));
  }
  if (!request.same_origin)
    co_return co_await exchange_.answer(
        {Side::client, Phase::head, 403, "a form of another site cannot sign you in", 0});
  const auto form = co_await read_form();
  if (!form)
    co_return co_await exchange_.answer(
        {Side::client, Phase::body, 400, "the sign-in form could not be read", 0});
  std::string user;
  const bool has_user = form_value(*form, "user", user);
  if (!form_value(*form, "to", to) || !is_local_path(to)) to = "/";
  user = trim(user);
  auto name = session_name(user);
  if (!has_user || !name) {
    Page again = sign_in_page(to, name ? "Enter a name." : name.error().text);
    co_return co_await page(400, std::move(again.html), std::move(again.csp));
  }
  std::string cookie = exchange_.worker_.identity->make_cookie(user, exchange_.conn_.stream.is_tls());
  co_return co_await go(std::move(to), std::move(cookie));
}

Awaitable<Exchange::After> OwnPages::sign_out() {
  std::string cookie = exchange_.worker_.identity->make_cookie("", exchange_.conn_.stream.is_tls());
  co_return co_await go("/.alcove/signed-out", std::move(cookie));
}

// The waiting page's eyes: takes a seat in the waiting room like any other waiter, and tells what it sees as
// it changes.
Awaitable<Exchange::After> OwnPages::wait_events(OwnRequest request) {
  Exchange& ex = exchange_;
  Worker& worker = ex.worker_;
  std::string text;
  auto key = form_value(request.query, "session", text) ? SessionKey::parse(text) : SessionKey::parse("");
  const AppSettings* app = key ? ex.settings_->find_app(key->scope()) : nullptr;
  if (request.user.empty())
    co_return co_await ex.answer({Side::client, Phase::head, 401, "nobody is signed in", 0});
  if (app == nullptr || key->name() != request.session_name)
    co_return co_await ex.answer({Side::client, Phase::head, 404, "that is no session of yours", 0});
  ex.user_ = request.user;
  ex.key_ = *key;

  const LimitSettings& limits = ex.settings_->limits;
  if (worker.shared.holds.enter(ex.user_, limits.holds, limits.holds_per_user) !=
      HoldBudget::Verdict::granted)
    co_return co_await ex.answer({Side::alcove, Phase::hold, 503, "too many requests are waiting", 2});

  ReplyContext context = ex.reply_context();
  context.keep_alive = false;
  Reply stream{200, "text/event-stream", "", {}, nullptr, true};
  std::string out;
  write_reply(stream, context, out);
  ex.status_ = 200;
  ex.own_reply_ = true;
  bool open = co_await ex.conn_.send(out);
  const SteadyTime until = SteadyClock::now() + app->hold_timeout;
  SteadyTime silent_since = SteadyClock::now();
  std::string last;
  {
    const SessionPolicy policy{app->idle_timeout, app->max_lifetime, app->drain_grace, app->stop_grace};
    AcquireRequest acquire{ex.key_, app->name, ex.user_, policy};
    WaitingRooms::Seat seat(worker.rooms, std::move(acquire));
    ex.conn_.set_seat(&seat);
    ex.conn_.watch_client(true);
    while (open && !ex.conn_.gone()) {
      const bool told = seat.settled();
      nlohmann::json state;
      if (seat.route() != nullptr) {
        state = {{"state", "ready"}};
      } else if (seat.failure()) {
        state = {{"state", "failed"},
                 {"reason", seat.failure()->text},
                 {"retry_in_s", seat.failure()->retry_after_s}};
      } else if (seat.session().state == State::starting) {
        state = {{"state", "starting"}};
      } else {
        state = {{"state", "pending"}};
        auto place = co_await worker.store->place(ex.key_);
        if (place && place->place > 0) state["place"] = place->place, state["queued"] = place->queued;
      }
      const SteadyTime now = SteadyClock::now();
      std::string event = "event: state\ndata: " + text_of(state) + "\n\n";
      if (event != last) {
        open = co_await ex.conn_.send(event);
        ex.bytes_out_ += event.size();
        last = std::move(event);
        silent_since = now;
      } else if (now - silent_since >= kComment) {
        open = co_await ex.conn_.send(": still here\n\n");
        silent_since = now;
      }
      ex.conn_.unlimited();
      if (told || now >= until) break;
      co_await seat.wait(std::min(until, now + kPlaceInterval));
    }
    ex.conn_.set_seat(nullptr);
  }
  worker.shared.holds.leave(ex.user_);
  co_return Exchange::After::close;
}

}  // namespace alcove::proxy
