// Exchange, steps 3 to 5: whose request this is, for which app, and what its pod is to be sent.
#include "base/text.hpp"
#include "proxy/exchange.hpp"
#include "proxy/head_rules.hpp"
#include "proxy/own_pages.hpp"

namespace alcove::proxy {
namespace {

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

bool starts_with_any(std::string_view path, const std::vector<std::string>& prefixes) {
  for (const std::string& prefix : prefixes)
    if (path.substr(0, prefix.size()) == prefix) return true;
  return false;
}

}  // namespace

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
    const bool environment = route.kind == Route::Kind::environment;
    if (environment)
      enter_environment(route, *who.principal);
    else
      app_ = route.app;
    if (app_ != nullptr) facts_.quiet = starts_with_any(facts_.path, app_->quiet_paths);
    if (!environment) {
      worker_.key_text.assign(app_->name).append(1, '/').append(who.principal->session_name);
      if (CachedRoute* known = worker_.resolver.known(worker_.key_text, began_)) {
        source_ = "cache";
        use_route(known);
      } else {
        key_ = SessionKey(app_->name, who.principal->session_name);
      }
    }
    if (app_ != nullptr && app_->body_limit > 0 && head.body.kind == BodyKind::length &&
        head.body.length > app_->body_limit)
      failure = Failure{Limit::body_limit,
                        Side::client,
                        Phase::head,
                        413,
                        "the request body has " + std::to_string(head.body.length) + " bytes; at most " +
                            std::to_string(app_->body_limit) + " are taken",
                        0};
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
void Exchange::enter_environment(const Route& route, const Principal& principal) {
  app_ = settings_->find_app(route.scope);
  key_ = SessionKey(route.scope, route.name);
  environment_ = app_ == nullptr || route.name != principal.session_name;
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

}  // namespace alcove::proxy
