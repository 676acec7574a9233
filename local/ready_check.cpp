#include "local/ready_check.hpp"

#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace alcove {
namespace {

constexpr Millis kFirstPause{2};
constexpr Millis kMostPause{50};
constexpr Millis kMostAttempt{5'000};
constexpr std::string_view kStatusLine = "HTTP/1.1 200";

// The status in "HTTP/1.x NNN"; 0: this is no HTTP.
int status_in(std::string_view line) {
  if (line.size() < kStatusLine.size() || !line.starts_with("HTTP/1.") || line[8] != ' ') return 0;
  int status = 0;
  for (const char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + (c - '0');
  }
  return status;
}

}  // namespace

ReadyCheck::ReadyCheck(Executor executor, Endpoint endpoint, std::string ready_path)
    : ReadyCheck(executor, endpoint, std::move(ready_path), Kernel{}) {}

ReadyCheck::ReadyCheck(Executor executor, Endpoint endpoint, std::string ready_path, Kernel kernel)
    : executor_(executor),
      endpoint_(endpoint),
      path_(std::move(ready_path)),
      kernel_(std::move(kernel)),
      socket_(executor),
      pause_(executor),
      limit_(executor) {}

Awaitable<Result<void>> ReadyCheck::run(std::shared_ptr<ReadyCheck> self, SteadyTime begun, Millis most,
                                        Millis first) {
  const SteadyTime deadline = begun + most;
  Millis pause = kFirstPause;
  if (first > Millis{0}) {
    self->pause_.expires_after(first);
    co_await self->pause_.async_wait(kTuple);
  }
  const SteadyTime asked = SteadyClock::now();
  const SteadyTime believed_until =
      std::min<SteadyTime>(asked + self->kernel_.no_is_believed, asked + (deadline - asked) / 2);
  for (;;) {
    if (self->cancelled_) co_return Error{Errc::cancelled, "the check was given up"};
    std::optional<std::string> known = self->without_connection(believed_until);
    if (!known) known = co_await by_connection(self, deadline);
    const std::string& met = *known;
    if (self->cancelled_) co_return Error{Errc::cancelled, "the check was given up"};
    if (met.empty()) co_return Result<void>{};
    if (SteadyClock::now() + pause >= deadline) {
      const double seconds = static_cast<double>(most.count()) / 1000.0;
      co_return Error{Errc::timeout, fmt::format("{} was not ready within {:.1f} s: {}",
                                                 to_string(self->endpoint_), seconds, met)};
    }
    self->pause_.expires_after(pause);
    co_await self->pause_.async_wait(kTuple);
    pause = std::min(pause + pause / 2, kMostPause);
  }
}

void ReadyCheck::cancel() {
  cancelled_ = true;
  pause_.cancel();
  limit_.cancel();
  abort_attempt();
}

Awaitable<void> ReadyCheck::watch(std::shared_ptr<ReadyCheck> self, std::uint64_t attempt,
                                  SteadyTime deadline) {
  self->limit_.expires_at(deadline);
  auto [ec] = co_await self->limit_.async_wait(kTuple);
  if (ec || attempt != self->attempts_) co_return;
  self->limited_ = true;
  self->abort_attempt();
}

std::optional<std::string> ReadyCheck::without_connection(SteadyTime believed_until) const {
  if (!kernel_.listens) return std::nullopt;
  if (kernel_.listens(endpoint_)) return path_.empty() ? std::optional(std::string{}) : std::nullopt;
  if (SteadyClock::now() >= believed_until) return std::nullopt;
  return "no connection: nobody listens";
}

Awaitable<std::string> ReadyCheck::by_connection(std::shared_ptr<ReadyCheck> self, SteadyTime deadline) {
  const SteadyTime limit = std::min(deadline, SteadyClock::now() + kMostAttempt);
  self->limited_ = false;
  launch(self->executor_, watch(self, ++self->attempts_, limit));
  std::string met = co_await self->attempt();
  self->limit_.cancel();
  error_code ignored;
  self->socket_.close(ignored);
  co_return met;
}

Awaitable<std::string> ReadyCheck::attempt() {
  error_code opened;
  socket_.open(endpoint_.protocol(), opened);
  if (opened) co_return opened.message();
  auto [ec] = co_await socket_.async_connect(endpoint_, kTuple);
  if (limited_) co_return "it did not accept a connection";
  if (ec) co_return fmt::format("no connection: {}", ec.message());
  // Linux lets a socket connect to itself when its own random port is the one that it asks for.
  error_code named;
  if (socket_.local_endpoint(named) == endpoint_) co_return std::string("no connection: nobody listens");
  if (path_.empty()) co_return std::string{};
  co_return co_await ask();
}

Awaitable<std::string> ReadyCheck::ask() {
  const std::string request = fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: alcove-ready-check\r\nAccept: */*\r\nConnection: "
      "close\r\n\r\n",
      path_, to_string(endpoint_));
  auto [write_ec, written] = co_await asio::async_write(socket_, asio::buffer(request), kTuple);
  if (write_ec) co_return fmt::format("GET {} could not be sent: {}", path_, write_ec.message());
  std::array<char, kStatusLine.size()> line{};
  std::size_t have = 0;
  while (have < line.size()) {
    auto [ec, n] =
        co_await socket_.async_read_some(asio::buffer(line.data() + have, line.size() - have), kTuple);
    if (limited_) co_return fmt::format("GET {} was not answered", path_);
    if (ec) co_return fmt::format("GET {} was not answered: {}", path_, ec.message());
    have += n;
  }
  const int status = status_in(std::string_view(line.data(), have));
  if (status == 0) co_return fmt::format("GET {} was answered, but not in HTTP/1.1", path_);
  if (status >= 500) co_return fmt::format("GET {} was answered with {}", path_, status);
  co_return std::string{};
}

void ReadyCheck::abort_attempt() {
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace alcove
