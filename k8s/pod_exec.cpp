#include "k8s/pod_exec.hpp"

#include "base/text.hpp"
#include "k8s/api_client.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace alcove::k8s {
namespace {

enum class Channel : char { input = 0, output = 1, errors = 2, end = 3, size = 4, close = '\xff' };

constexpr std::string_view kCanEndInput = "v5.channel.k8s.io";

std::string message_on(Channel channel, std::string_view text) {
  std::string out(1, static_cast<char>(channel));
  out += text;
  return out;
}

ApiError not_understood(std::string text) {
  return {ApiReason::not_understood, "the Kubernetes API, of a command: " + std::move(text)};
}

// A Status object: a command that ended with a code of its own is a failure with that reason.
ApiResult<int> exit_code_from(std::string_view text) {
  const Json status = Json::parse(text, nullptr, false);
  if (text_at(status, {"status"}) == "Success") return 0;
  if (text_at(status, {"status"}) != "Failure") return not_understood("an end that is no Status");
  if (text_at(status, {"reason"}) != "NonZeroExitCode") return error_from_status(status);
  for (const Json& cause : list_at(status, {"details", "causes"})) {
    if (text_at(cause, {"reason"}) != "ExitCode") continue;
    const std::string code = text_at(cause, {"message"});
    int number = 0;
    const auto [end, bad] = std::from_chars(code.data(), code.data() + code.size(), number);
    if (bad == std::errc{} && end == code.data() + code.size()) return number;
  }
  return not_understood("it failed without a code");
}

}  // namespace

std::string exec_target(std::string_view pod_path, const ExecQuery& query) {
  std::string out = fmt::format("{}/exec?container={}", pod_path, percent_encode(query.container));
  for (const std::string& part : query.command) out += "&command=" + percent_encode(part);
  out += "&stdin=true&stdout=true";
  out += query.terminal ? "&tty=true" : "&stderr=true";
  return out;
}

Awaitable<ApiResult<void>> PodExec::open(std::shared_ptr<PodExec> self) {
  const Result<HttpAnswer> answer = co_await self->socket_->open();
  if (!answer) co_return error_from_transport(answer.error());
  if (answer->status != WebSocket::kOpened)
    co_return error_from_answer(answer->status, answer->body, std::nullopt);
  // Without a protocol the oldest is meant, which does not tell how a command ended.
  if (self->socket_->protocol().empty()) {
    self->cancel();
    co_return not_understood("it has chosen no protocol");
  }
  co_return ApiResult<void>{};
}

Awaitable<ApiResult<ExecNews>> PodExec::read(std::shared_ptr<PodExec> self) {
  ExecNews news;
  while (!self->end_) {
    const Result<std::string> message = co_await self->socket_->read();
    if (!message) {
      self->end_.emplace(error_from_transport(message.error()));
      break;
    }
    // Channels begin with an empty message each.
    if (message->size() < 2) continue;
    const auto channel = static_cast<Channel>((*message)[0]);
    const std::string_view text = std::string_view(*message).substr(1);
    if (channel == Channel::output || channel == Channel::errors) {
      news.kind = channel == Channel::output ? ExecNews::Kind::output : ExecNews::Kind::errors;
      news.bytes = text;
      co_return news;
    }
    if (channel == Channel::close) continue;
    if (channel == Channel::end) {
      self->end_.emplace(exit_code_from(text));
    } else {
      self->end_.emplace(not_understood("a message on a channel that is ours"));
    }
    self->cancel();
  }
  if (!*self->end_) co_return self->end_->error();
  news.kind = ExecNews::Kind::end;
  news.exit_code = **self->end_;
  co_return news;
}

Awaitable<ApiResult<void>> PodExec::send(std::string message) {
  const Result<void> sent = co_await socket_->write(std::move(message));
  if (!sent) co_return error_from_transport(sent.error());
  co_return ApiResult<void>{};
}

Awaitable<ApiResult<void>> PodExec::write(std::shared_ptr<PodExec> self, std::string input) {
  for (std::size_t at = 0; at < input.size(); at += kMostInput) {
    std::string message = message_on(Channel::input, std::string_view(input).substr(at, kMostInput));
    const ApiResult<void> sent = co_await self->send(std::move(message));
    if (!sent) co_return sent.error();
  }
  co_return ApiResult<void>{};
}

Awaitable<ApiResult<void>> PodExec::resize(std::shared_ptr<PodExec> self, std::uint16_t columns,
                                           std::uint16_t rows) {
  if (!self->terminal_) co_return ApiError{ApiReason::other, "a command without a terminal has no size"};
  std::string message =
      message_on(Channel::size, fmt::format(R"({{"Width":{},"Height":{}}})", columns, rows));
  const ApiResult<void> sent = co_await self->send(std::move(message));
  co_return sent;
}

Awaitable<ApiResult<void>> PodExec::end_input(std::shared_ptr<PodExec> self) {
  if (!self->can_end_input())
    co_return ApiError{ApiReason::other, "this Kubernetes API cannot end a command's input"};
  std::string message = message_on(Channel::close, std::string(1, static_cast<char>(Channel::input)));
  const ApiResult<void> sent = co_await self->send(std::move(message));
  co_return sent;
}

bool PodExec::can_end_input() const {
  return socket_->protocol() == kCanEndInput;
}

}  // namespace alcove::k8s
