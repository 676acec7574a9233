#include "api/client.hpp"

#include "base/endpoint.hpp"
#include "base/net.hpp"

#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <array>

namespace alcove {
namespace http = boost::beast::http;
namespace {

using Stream = boost::beast::basic_stream<tcp, Executor>;
using Resolver = asio::ip::basic_resolver<tcp, Executor>;
constexpr Millis kConnect{5'000};
constexpr std::size_t kMostBody = 1 << 30;

struct Call {
  std::string host;
  std::string port;
  http::request<http::string_body> request;
  Millis timeout;
  std::function<bool(std::string_view)> sink;  // empty: the body is collected
  Result<AdminClient::Answer> answer = Error{Errc::internal, "not asked"};
};

Error failed(const Call& call, const error_code& ec) {
  const std::string where = call.host + ":" + call.port;
  if (ec == boost::beast::error::timeout) return {Errc::timeout, where + " did not answer in time"};
  return {Errc::unavailable,
          "no answer from the admin listener at " + where + ": " + ec.message() +
              ". Is alcove running there? --admin ADDRESS:PORT or ALCOVE_ADMIN says where it is"};
}

Awaitable<error_code> connect(Call& call, Stream& stream) {
  Resolver resolver(stream.get_executor());
  auto [resolve_ec, found] = co_await resolver.async_resolve(call.host, call.port, kTuple);
  if (resolve_ec) co_return resolve_ec;
  error_code last = asio::error::host_not_found;
  for (const auto& entry : found) {
    const Endpoint endpoint = entry.endpoint();
    stream.expires_after(kConnect);
    auto [ec] = co_await stream.async_connect(endpoint, kTuple);
    last = ec;
    if (!ec) break;
    stream.close();
  }
  co_return last;
}

Awaitable<void> run(Call& call, Stream& stream) {
  error_code ec = co_await connect(call, stream);
  if (ec) {
    call.answer = failed(call, ec);
    co_return;
  }
  stream.expires_after(call.timeout);
  auto [write_ec, written] = co_await http::async_write(stream, call.request, kTuple);
  boost::beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  ec = write_ec;
  if (!ec) {
    auto [head_ec, head_bytes] = co_await http::async_read_header(stream, buffer, parser, kTuple);
    ec = head_ec;
  }
  if (ec) {
    call.answer = failed(call, ec);
    co_return;
  }
  AdminClient::Answer answer{static_cast<int>(parser.get().result_int()), {}};
  const bool pass_on = call.sink && answer.status == 200;
  if (pass_on) stream.expires_never();
  std::array<char, 16 * 1024> block{};
  while (!parser.is_done()) {
    parser.get().body().data = block.data();
    parser.get().body().size = block.size();
    parser.get().body().more = true;
    auto [read_ec, n] = co_await http::async_read_some(stream, buffer, parser, kTuple);
    const std::string_view text(block.data(), block.size() - parser.get().body().size);
    if (pass_on && !text.empty() && !call.sink(text)) break;
    if (!pass_on) answer.body.append(text);
    if (read_ec == http::error::need_buffer) continue;
    if (read_ec || answer.body.size() > kMostBody) {
      call.answer = read_ec ? failed(call, read_ec) : Error{Errc::limit, "the answer is too long"};
      co_return;
    }
  }
  call.answer = std::move(answer);
}

Result<AdminClient::Answer> perform(Call call) {
  asio::io_context io{1};
  Stream stream(io.get_executor());
  launch(io, run(call, stream));
  io.run();
  return std::move(call.answer);
}

}  // namespace

AdminClient::AdminClient(std::string address, std::string token) : token_(std::move(token)) {
  std::string_view rest = address;
  if (rest.starts_with("http://")) rest.remove_prefix(7);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const auto colon = rest.rfind(':');
  const bool has_port = colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos;
  host_ = rest.substr(0, has_port ? colon : rest.size());
  port_ = has_port ? rest.substr(colon + 1) : "8081";
  if (host_.starts_with('[') && host_.ends_with(']')) host_ = host_.substr(1, host_.size() - 2);
  if (host_.empty()) host_ = "127.0.0.1";
}

Result<AdminClient::Answer> AdminClient::ask(std::string_view method, std::string target, std::string body,
                                             Millis timeout) const {
  Call call;
  call.host = host_;
  call.port = port_;
  call.timeout = timeout;
  call.request.version(11);
  call.request.method_string(boost::beast::string_view(method.data(), method.size()));
  call.request.target(target);
  const std::string host = host_.find(':') == std::string::npos ? host_ : "[" + host_ + "]";
  call.request.set(http::field::host, host + ":" + port_);
  call.request.set(http::field::user_agent, "alcove");
  if (!token_.empty()) call.request.set(http::field::authorization, "Bearer " + token_);
  call.request.keep_alive(false);
  call.request.body() = std::move(body);
  if (!call.request.body().empty()) call.request.set(http::field::content_type, "application/json");
  call.request.prepare_payload();
  return perform(std::move(call));
}

Result<AdminClient::Answer> AdminClient::follow(std::string target,
                                                std::function<bool(std::string_view)> sink) const {
  Call call;
  call.host = host_;
  call.port = port_;
  call.timeout = Millis{30'000};
  call.sink = std::move(sink);
  call.request = http::request<http::string_body>(http::verb::get, target, 11);
  const std::string host = host_.find(':') == std::string::npos ? host_ : "[" + host_ + "]";
  call.request.set(http::field::host, host + ":" + port_);
  if (!token_.empty()) call.request.set(http::field::authorization, "Bearer " + token_);
  call.request.keep_alive(false);
  return perform(std::move(call));
}

}  // namespace alcove
