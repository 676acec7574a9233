#include "demo/server.hpp"

#include "base/text.hpp"
#include "demo/assets.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <string>

namespace alcove::demo {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;

using Stream = beast::basic_stream<tcp, Executor>;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr std::chrono::seconds kIdle{120};
constexpr std::uint32_t kHeadLimit = 64 * 1024;
constexpr std::uint64_t kBodyLimit = 16 * 1024 * 1024;

// The page asks only for what this pod serves: nothing from elsewhere, no inline script or style.
constexpr const char* kPolicy =
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri "
    "'none'; "
    "form-action 'none'; frame-ancestors 'none'";

Visit visit_of(const Request& request) {
  Visit visit;
  visit.target = std::string(request.target());
  const auto field = request.find("X-Alcove-User");
  // A name that is not plain ASCII arrives percent-encoded.
  if (field != request.end() && !percent_decode(field->value(), visit.user)) visit.user = field->value();
  return visit;
}

std::string_view path_of(const Request& request) {
  const std::string_view target = request.target();
  return target.substr(0, target.find('?'));
}

// The last segment decides, so that it answers under a path prefix too.
bool asks_for(const Request& request, std::string_view name) {
  const std::string_view path = path_of(request);
  return path.substr(path.rfind('/') + 1) == name;
}

Response respond(const Request& request, http::status status, const char* type, std::string body) {
  Response response{status, request.version()};
  response.set(http::field::server, "alcove-demo");
  response.set(http::field::content_type, type);
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Content-Security-Policy", kPolicy);
  response.keep_alive(request.keep_alive());
  response.body() = std::move(body);
  const std::size_t length = response.body().size();
  if (request.method() == http::verb::head) response.body().clear();
  response.content_length(length);
  return response;
}

Response answer(const Request& request, const Pod& pod) {
  const std::string_view accept = request[http::field::accept];
  if (asks_for(request, "demo.css"))
    return respond(request, http::status::ok, "text/css; charset=utf-8", std::string(kStyle));
  if (asks_for(request, "demo.js"))
    return respond(request, http::status::ok, "text/javascript; charset=utf-8", std::string(kScript));
  if (asks_for(request, "icon.svg") || asks_for(request, "favicon.ico"))
    return respond(request, http::status::ok, "image/svg+xml", std::string(kIcon));
  if (asks_for(request, "echo")) {
    Response response = respond(request, http::status::upgrade_required, "text/plain; charset=utf-8",
                                "This is a WebSocket that says back what it is told.\n");
    response.set(http::field::upgrade, "websocket");
    return response;
  }
  const Visit visit = visit_of(request);
  if (asks_for(request, "json"))
    return respond(request, http::status::ok, "application/json", json(pod, visit));
  if (accept.find("text/html") != std::string_view::npos)
    return respond(request, http::status::ok, "text/html; charset=utf-8", page(pod, visit));
  return respond(request, http::status::ok, "text/plain; charset=utf-8", greeting(pod, visit));
}

// Until the other side closes. The stream's own time limit is off: the WebSocket's pings keep watch instead.
Awaitable<void> echo(Stream stream, Request request) {
  stream.expires_never();
  websocket::stream<Stream> socket(std::move(stream));
  socket.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
  socket.read_message_max(1024 * 1024);
  auto [accepted] = co_await socket.async_accept(request, kTuple);
  if (accepted) co_return;
  beast::flat_buffer message;
  for (;;) {
    auto [read_ec, read] = co_await socket.async_read(message, kTuple);
    if (read_ec) co_return;
    socket.text(socket.got_text());
    auto [write_ec, written] = co_await socket.async_write(message.data(), kTuple);
    if (write_ec) co_return;
    message.consume(message.size());
  }
}

// One event a second until the client has gone, which the next write finds out.
Awaitable<void> clock(Stream& stream, const Request& request, const Pod& pod) {
  http::response<http::empty_body> head{http::status::ok, request.version()};
  head.set(http::field::server, "alcove-demo");
  head.set(http::field::content_type, "text/event-stream");
  head.set(http::field::cache_control, "no-store");
  head.chunked(request.version() >= 11);
  http::response_serializer<http::empty_body> serializer{head};
  auto [head_ec, head_size] = co_await http::async_write_header(stream, serializer, kTuple);
  if (head_ec) co_return;
  Timer timer(stream.get_executor());
  for (;;) {
    const std::string event = fmt::format("event: tick\ndata: {}\n\n", tick(pod));
    const std::string chunk = head.chunked() ? fmt::format("{:x}\r\n{}\r\n", event.size(), event) : event;
    stream.expires_after(kIdle);
    const auto buffer = asio::buffer(chunk);
    auto [ec, size] = co_await asio::async_write(stream, buffer, kTuple);
    if (ec) co_return;
    timer.expires_after(std::chrono::seconds(1));
    auto [waited] = co_await timer.async_wait(kTuple);
    if (waited) co_return;
  }
}

Awaitable<void> connection(Stream stream, Pod& pod) {
  beast::flat_buffer buffer;
  for (;;) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(kHeadLimit);
    parser.body_limit(kBodyLimit);
    stream.expires_after(kIdle);
    auto [head_ec, head_size] = co_await http::async_read_header(stream, buffer, parser, kTuple);
    if (head_ec) co_return;
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      http::response<http::empty_body> go_on{http::status::continue_, parser.get().version()};
      auto [go_on_ec, go_on_size] = co_await http::async_write(stream, go_on, kTuple);
      if (go_on_ec) co_return;
    }
    auto [body_ec, body_size] = co_await http::async_read(stream, buffer, parser, kTuple);
    if (body_ec) co_return;
    Request request = parser.release();
    ++pod.requests;
    std::fprintf(stderr, "%s %s for %s\n", std::string(request.method_string()).c_str(),
                 printable(request.target(), 200).c_str(), printable(visit_of(request).user, 100).c_str());
    if (asks_for(request, "echo") && websocket::is_upgrade(request)) {
      Awaitable<void> talk = echo(std::move(stream), std::move(request));
      co_await std::move(talk);
      co_return;
    }
    if (asks_for(request, "clock")) {
      co_await clock(stream, request, pod);
      co_return;
    }
    const Response response = answer(request, pod);
    auto [write_ec, written] = co_await http::async_write(stream, response, kTuple);
    if (write_ec || !response.keep_alive()) break;
  }
  error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

Awaitable<void> accept_all(Acceptor acceptor, Pod& pod) {
  Timer pause(acceptor.get_executor());
  for (;;) {
    Socket socket(acceptor.get_executor());
    auto [ec] = co_await acceptor.async_accept(socket, kTuple);
    if (!ec) {
      Stream stream(std::move(socket));
      launch(acceptor.get_executor(), connection(std::move(stream), pod));
      continue;
    }
    if (ec == asio::error::operation_aborted) co_return;
    std::fprintf(stderr, "cannot take a connection: %s\n", ec.message().c_str());
    pause.expires_after(std::chrono::milliseconds(100));  // out of descriptors: let some be closed
    auto [waited] = co_await pause.async_wait(kTuple);
    if (waited) co_return;
  }
}

}  // namespace

Result<void> serve(asio::io_context& context, Pod& pod) {
  Acceptor acceptor(context.get_executor());
  error_code ec;
  acceptor.open(pod.endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor.bind(pod.endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec)
    return Error{Errc::unavailable,
                 fmt::format("cannot listen on {}: {}", to_string(pod.endpoint), ec.message())};
  pod.endpoint = acceptor.local_endpoint();
  launch(context, accept_all(std::move(acceptor), pod));
  return {};
}

}  // namespace alcove::demo
