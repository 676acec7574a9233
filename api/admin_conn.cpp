#include "api/admin_conn.hpp"

#include "api/access.hpp"
#include "api/target.hpp"
#include "base/text.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <nlohmann/json.hpp>
#include <prometheus/text_serializer.h>

#include <sys/socket.h>

#include <charconv>

namespace alcove {
namespace http = boost::beast::http;
namespace {

constexpr Millis kIdle{60'000};  // between requests
constexpr Millis kStep{10'000};  // to read a request or to write an answer
constexpr Millis kNews{200};     // between two looks at a log that is followed

std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

Reply too_long(const error_code& ec) {
  if (ec == http::error::header_limit) return problem(431, "the head is larger than 16 KiB");
  if (ec == http::error::body_limit) return problem(413, "the body is larger than 64 KiB");
  return problem(400, "malformed request: " + ec.message());
}

prometheus::MetricFamily session_gauges(const std::array<std::uint64_t, 7>& counts) {
  prometheus::MetricFamily out;
  out.name = "alcove_sessions";
  out.help = "Sessions by state";
  out.type = prometheus::MetricType::Gauge;
  for (std::size_t i = 1; i < counts.size(); ++i) {
    prometheus::ClientMetric metric;
    metric.label.push_back({"state", std::string(name_of(static_cast<State>(i)))});
    metric.gauge.value = static_cast<double>(counts[i]);
    out.metric.push_back(std::move(metric));
  }
  return out;
}

bool allowed(const std::string& methods, std::string_view method) {
  return (", " + methods + ",").find(", " + std::string(method) + ",") != std::string::npos;
}

std::string methods_of(Target::Kind kind) {
  return kind == Target::Kind::session ? "GET, HEAD, POST, PATCH, DELETE" : "GET, HEAD";
}

}  // namespace

AdminConn::AdminConn(AdminServer& server, Socket socket)
    : server_(server),
      stream_(std::move(socket)),
      buffer_(AdminServer::kHeadBytes + AdminServer::kBodyBytes),
      pause_(stream_.get_executor()) {
  server_.connections_.insert(this);
}

AdminConn::~AdminConn() {
  server_.connections_.erase(this);
}

Awaitable<void> AdminConn::serve(AdminServer& server, Socket socket) {
  AdminConn connection(server, std::move(socket));
  co_await connection.run();
}

void AdminConn::close() {
  pause_.cancel();
  stream_.close();
}

Awaitable<void> AdminConn::run() {
  while (!server_.stopping_) {
    Request request;
    const bool whole = co_await read(request);
    if (!whole || server_.stopping_) break;
    const bool go_on = co_await answer(request);
    if (!go_on) break;
  }
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
}

Awaitable<bool> AdminConn::read(Request& request) {
  http::request_parser<http::string_body> parser;
  parser.header_limit(AdminServer::kHeadBytes);
  parser.body_limit(AdminServer::kBodyBytes);
  stream_.expires_after(kIdle);
  auto [head_ec, head_bytes] = co_await http::async_read_header(stream_, buffer_, parser, kTuple);
  error_code ec = head_ec;
  if (!ec) {
    stream_.expires_after(kStep);
    auto [body_ec, body_bytes] = co_await http::async_read(stream_, buffer_, parser, kTuple);
    ec = body_ec;
  }
  if (!ec) {
    request = parser.release();
    co_return true;
  }
  const bool ours_to_answer = ec.category() == make_error_code(http::error::header_limit).category() &&
                              ec != http::error::end_of_stream && ec != http::error::partial_message;
  if (ours_to_answer) {
    Request none;
    none.keep_alive(false);
    Reply reply = too_long(ec);
    co_await send(std::move(reply), none);
  }
  co_return false;
}

Awaitable<bool> AdminConn::answer(const Request& request) {
  const std::string path(view(request.target()));
  const Result<Target> target = parse_target(path);
  const bool read_only = request.method() == http::verb::get || request.method() == http::verb::head;
  const bool open = target && (target->kind == Target::Kind::health || target->kind == Target::Kind::ready);
  // Who may not ask is told nothing else, not even what is wrong with the path.
  const AccessQuestion question{view(request[http::field::host]), view(request[http::field::authorization]),
                                view(request[http::field::origin]), view(request["Sec-Fetch-Site"]),
                                !read_only};
  const std::string& token = server_.parts_.settings->admin.token;
  const bool probe = open && !token.empty();
  Reply reply;
  if (const auto refusal = probe ? std::nullopt : refuse_access(question, token)) {
    reply = problem(refusal->status, refusal->text);
  } else if (!target) {
    reply = problem(target.error());
  } else if (target->kind == Target::Kind::nothing) {
    reply = problem(404, "there is nothing at " + printable(path, 80) +
                             "; there are: /healthz /readyz /metrics /api/v1/sessions");
  } else if (!allowed(methods_of(target->kind), view(request.method_string()))) {
    reply = problem(405, "this takes " + methods_of(target->kind));
    reply.allow = methods_of(target->kind);
  } else if (target->kind == Target::Kind::logs && request.method() == http::verb::get) {
    const std::string query(target->query);
    co_return co_await send_logs(request, target->key, query);
  } else {
    reply = co_await reply_to(request);
  }
  co_return co_await send(std::move(reply), request);
}

Awaitable<Reply> AdminConn::reply_to(const Request& request) {
  const std::string path(view(request.target()));
  const Result<Target> target = parse_target(path);
  const nlohmann::json alive{{"status", "ok"}};
  switch (target->kind) {
    case Target::Kind::health:
      co_return json_reply(200, alive);
    case Target::Kind::ready:
      co_return ready();
    case Target::Kind::metrics:
      co_return co_await metrics();
    case Target::Kind::sessions: {
      const std::string scope = query_value(target->query, "scope");
      co_return co_await server_.routes_.list(scope);
    }
    default:
      break;
  }
  const SessionKey key = target->key;
  const Result<Millis> wait = query_duration(target->query, "wait", AdminServer::kMostWait);
  if (!wait) co_return problem(wait.error());
  // An answer may be long in coming; the connection's own deadline begins again when it is sent.
  stream_.expires_never();
  if (request.method() == http::verb::post) {
    const std::string& body = request.body();
    const SettingsPtr settings = server_.parts_.settings;
    co_return co_await server_.routes_.start(settings, key, body, *wait);
  }
  if (request.method() == http::verb::patch) {
    const std::string& body = request.body();
    co_return co_await server_.routes_.keep(key, body);
  }
  if (request.method() == http::verb::delete_) co_return co_await server_.routes_.stop(key, *wait);
  co_return co_await server_.routes_.show(key);
}

Reply AdminConn::ready() const {
  nlohmann::json checks = nlohmann::json::object();
  bool all = true;
  for (const Readiness& check : server_.parts_.checks) {
    const auto fault = check.fault();
    checks[check.name] = fault ? *fault : "ok";
    all = all && !fault;
  }
  return json_reply(all ? 200 : 503, {{"status", all ? "ready" : "not ready"}, {"checks", checks}});
}

Awaitable<Reply> AdminConn::metrics() {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& source : server_.parts_.metrics)
    for (prometheus::MetricFamily& family : source->Collect()) families.push_back(std::move(family));
  if (server_.parts_.count_sessions) {
    const Result<std::array<std::uint64_t, 7>> counts = co_await server_.routes_.count();
    if (counts) families.push_back(session_gauges(*counts));
  }
  Reply out;
  out.type = "text/plain; version=0.0.4; charset=utf-8";
  out.body = prometheus::TextSerializer().Serialize(families);
  co_return out;
}

Awaitable<bool> AdminConn::send(Reply reply, const Request& request) {
  http::response<http::string_body> response(static_cast<http::status>(reply.status), 11);
  response.set(http::field::server, "alcove");
  response.set(http::field::content_type, reply.type);
  response.set(http::field::cache_control, "no-store");
  if (!reply.allow.empty()) response.set(http::field::allow, reply.allow);
  if (reply.status == 401) response.set(http::field::www_authenticate, "Bearer");
  response.keep_alive(request.keep_alive() && server_.acceptor_.is_open());
  const std::size_t length = reply.body.size();
  response.content_length(length);
  if (request.method() != http::verb::head) response.body() = std::move(reply.body);
  const bool go_on = response.keep_alive();
  stream_.expires_after(kStep);
  auto [ec, n] = co_await http::async_write(stream_, response, kTuple);
  co_return !ec && go_on;
}

// --- logs
// ------------------------------------------------------------------------------------------------------

Awaitable<bool> AdminConn::send_logs(const Request& request, SessionKey key, std::string query) {
  if (server_.parts_.logs == nullptr) {
    Reply none =
        problem(503, "this process runs no pods: ask the provisioner's admin listener for their logs");
    co_return co_await send(std::move(none), request);
  }
  const bool follow = query_flag(query, "follow");
  const bool tail = query_flag(query, "tail");
  const std::string generation_text = query_value(query, "generation");
  Generation generation = 0;
  std::from_chars(generation_text.data(), generation_text.data() + generation_text.size(), generation);

  Result<LogPart> part = co_await server_.parts_.logs->read(key, generation, 0, tail);
  if (!part) {
    Reply none = problem(part.error());
    co_return co_await send(std::move(none), request);
  }
  http::response<http::empty_body> head(http::status::ok, 11);
  head.set(http::field::server, "alcove");
  head.set(http::field::content_type, "text/plain; charset=utf-8");
  head.set(http::field::cache_control, "no-store");
  head.set("X-Content-Type-Options", "nosniff");
  head.chunked(true);
  http::response_serializer<http::empty_body> serializer(head);
  stream_.expires_after(kStep);
  auto [ec, n] = co_await http::async_write_header(stream_, serializer, kTuple);
  if (ec) co_return false;

  while (!server_.stopping_) {
    std::string text = std::move(part->text);
    const bool any = !text.empty();
    if (any) {
      const bool sent = co_await send_chunk(std::move(text));
      if (!sent) co_return false;
    }
    if (!any && (part->ended || !follow)) break;
    if (!any) {
      if (client_gone()) co_return false;
      pause_.expires_after(kNews);
      co_await pause_.async_wait(kTuple);
    }
    const std::uint64_t from = part->next;
    part = co_await server_.parts_.logs->read(key, generation, from, false);
    if (!part) break;
  }
  stream_.expires_after(kStep);
  auto [last_ec, last_n] = co_await asio::async_write(stream_, http::make_chunk_last(), kTuple);
  co_return !last_ec && request.keep_alive() && !server_.stopping_;
}

Awaitable<bool> AdminConn::send_chunk(std::string text) {
  stream_.expires_after(kStep);
  const auto chunk = http::make_chunk(asio::buffer(text));
  auto [ec, n] = co_await asio::async_write(stream_, chunk, kTuple);
  co_return !ec;
}

bool AdminConn::client_gone() {
  char byte = 0;
  return ::recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

}  // namespace alcove
