#include "store/redis_link.hpp"

#include "base/backoff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <utility>

namespace alcove {
namespace {

constexpr Millis kFirstPause{50};
constexpr Millis kLongestPause{2'000};
constexpr std::size_t kReadBytes = 16 * 1024;

}  // namespace

struct RedisLink::Call {
  Call(Executor executor, SteadyTime deadline) : timer(executor, deadline) {}
  Timer timer;  // expires: too late. Cancelled: `result` is there
  std::string bytes;
  Repeat repeat = Repeat::no;
  bool sent = false;
  std::optional<Result<RedisReply>> result;

  void end(Result<RedisReply> with) {
    if (result) return;
    result = std::move(with);
    timer.cancel();
  }
};

struct RedisLink::Wire {
  Wire(Executor executor, TlsContext tls)
      : transport(executor, std::move(tls)), wake(executor), tick(executor), watchdog(executor) {}
  RedisTransport transport;
  RedisReader reader;
  std::array<char, kReadBytes> buffer{};
  std::string out;  // waits for the writer
  Event wake;       // there is something in `out`, or the wire is broken
  Timer tick;
  Timer watchdog;
  SteadyTime last_read = SteadyClock::now();
  bool up = false;
  std::string broken;  // empty: not broken

  void break_off(std::string why) {
    if (!broken.empty()) return;
    broken = std::move(why);
    transport.close();
    wake.notify();
    tick.cancel();
    watchdog.cancel();
  }
};

RedisLink::RedisLink(Executor executor, const RedisStoreSettings& settings, TlsContext tls, Hooks hooks)
    : executor_(executor),
      settings_(settings),
      tls_(std::move(tls)),
      hooks_(std::move(hooks)),
      pause_(executor) {}

std::shared_ptr<RedisLink> RedisLink::open(Executor executor, const RedisStoreSettings& settings,
                                           TlsContext tls, Hooks hooks) {
  auto link = std::make_shared<RedisLink>(executor, settings, std::move(tls), std::move(hooks));
  launch(executor, run(link));
  return link;
}

bool RedisLink::up() const {
  return wire_ && wire_->up && wire_->broken.empty();
}

void RedisLink::close() {
  if (closed_) return;
  closed_ = true;
  pause_.cancel();
  if (wire_) wire_->break_off("closed");
  const Error error{Errc::cancelled, "the store is closed"};
  for (const CallPtr& call : std::exchange(in_flight_, {}))
    if (call) call->end(error);
  for (const CallPtr& call : std::exchange(waiting_, {})) call->end(error);
}

RedisLink::CallPtr RedisLink::start(const RedisArgv& argv, Repeat repeat) {
  auto call = std::make_shared<Call>(executor_, SteadyClock::now() + settings_.timeout);
  call->repeat = repeat;
  call->bytes = format_redis_command(argv);
  if (closed_)
    call->end(Error{Errc::cancelled, "the store is closed"});
  else if (up())
    send(call);
  else
    waiting_.push_back(call);
  return call;
}

Awaitable<Result<RedisReply>> RedisLink::finish(CallPtr call) {
  const auto self = shared_from_this();
  if (!call->result) co_await call->timer.async_wait(kTuple);
  if (!call->result && call->sent) {
    const std::string trouble = told(fmt::format("no answer in {} ms", settings_.timeout.count()));
    call->end(Error{Errc::timeout, trouble});
    if (wire_) wire_->break_off(trouble);
  } else if (!call->result) {
    std::erase(waiting_, call);
    call->end(Error{Errc::unavailable, trouble_});
  }
  co_return std::move(*call->result);
}

void RedisLink::send(const CallPtr& call) {
  call->sent = true;
  wire_->out += call->bytes;
  if (call->repeat == Repeat::no) call->bytes.clear();
  in_flight_.push_back(call);
  wire_->wake.notify();
}

// Its thread of life: connect, serve until the wire breaks, pause, again.
Awaitable<void> RedisLink::run(std::shared_ptr<RedisLink> self) {
  std::minstd_rand random(std::random_device{}());
  Backoff backoff(kFirstPause, kLongestPause);
  while (!self->closed_) {
    const auto wire = std::make_shared<Wire>(self->executor_, self->tls_);
    self->wire_ = wire;
    const Result<void> ended = co_await self->use(wire);
    // Who broke it knows better than the read that was cut off.
    const std::string trouble = wire->broken.empty() ? self->told(ended.error().text) : wire->broken;
    wire->break_off(trouble);
    if (wire->up) backoff.reset();
    if (self->closed_) break;
    self->trouble_ = trouble;
    self->settle_in_flight();
    self->hooks_.on_trouble(trouble);
    if (self->closed_) break;
    self->pause_.expires_after(backoff.next(random));
    co_await self->pause_.async_wait(kTuple);
  }
}

Awaitable<Result<void>> RedisLink::use(WirePtr wire) {
  guard(wire);
  const Result<void> connected = co_await wire->transport.connect(settings_.host, settings_.port);
  if (!connected) co_return connected;
  const Result<void> greeted = co_await greet(wire);
  if (!greeted) co_return greeted;
  if (!wire->broken.empty()) co_return Error{Errc::unavailable, wire->broken};
  wire->up = true;
  wire->watchdog.cancel();
  launch(executor_, write(shared_from_this(), wire));
  launch(executor_, keep_alive(shared_from_this(), wire));
  for (const CallPtr& call : std::exchange(waiting_, {}))
    if (!call->result) send(call);
  hooks_.on_up();
  for (;;) {
    const Result<void> taken = take_replies(*wire);
    if (!taken) co_return taken;
    const Result<void> read = co_await read_more(wire);
    if (!read) co_return read;
  }
}

Awaitable<Result<void>> RedisLink::greet(WirePtr wire) {
  std::string commands;
  std::size_t expected = hooks_.greeting.size();
  if (!settings_.password.empty() || !settings_.user.empty()) {
    RedisArgv auth{"AUTH"};
    if (!settings_.user.empty()) auth.push_back(settings_.user);
    auth.push_back(settings_.password);
    commands += format_redis_command(auth);
    ++expected;
  }
  if (settings_.database != 0) {
    commands += format_redis_command({"SELECT", std::to_string(settings_.database)});
    ++expected;
  }
  for (const RedisArgv& command : hooks_.greeting) commands += format_redis_command(command);
  const Result<void> written = co_await wire->transport.write(asio::buffer(commands));
  if (!written) co_return written;
  while (expected > 0) {
    auto reply = wire->reader.next();
    if (!reply) co_return reply.error();
    if (!reply.value()) {
      const Result<void> read = co_await read_more(wire);
      if (!read) co_return read;
      continue;
    }
    if (reply.value()->kind == RedisReply::Kind::error)
      co_return Error{Errc::unavailable, "the server refuses us: " + reply.value()->text};
    --expected;
  }
  co_return Result<void>();
}

Awaitable<Result<void>> RedisLink::read_more(WirePtr wire) {
  const asio::mutable_buffer buffer = asio::buffer(wire->buffer);
  const Result<std::size_t> count = co_await wire->transport.read_some(buffer);
  if (!count) co_return count.error();
  wire->last_read = SteadyClock::now();
  wire->reader.feed({wire->buffer.data(), count.value()});
  co_return Result<void>();
}

Result<void> RedisLink::take_replies(Wire& wire) {
  for (;;) {
    if (!wire.broken.empty()) return Error{Errc::unavailable, wire.broken};
    auto reply = wire.reader.next();
    if (!reply) return reply.error();
    if (!reply.value()) return {};
    if (hooks_.on_push) {
      if (reply.value()->kind == RedisReply::Kind::error)
        return Error{Errc::unavailable, "the server refuses us: " + reply.value()->text};
      hooks_.on_push(*reply.value());
      continue;
    }
    if (in_flight_.empty()) return Error{Errc::unavailable, "the server answers what nobody asked"};
    const CallPtr call = in_flight_.front();
    in_flight_.pop_front();
    // A replica after a failover, or a server that has changed its mind about us: another connection may do.
    const bool refused =
        reply.value()->kind == RedisReply::Kind::error &&
        (reply.value()->text.starts_with("READONLY") || reply.value()->text.starts_with("NOAUTH"));
    const std::string refusal = refused ? reply.value()->text : std::string();
    if (call) call->end(std::move(*reply.value()));
    if (refused) return Error{Errc::unavailable, refusal};
  }
}

Awaitable<void> RedisLink::write(std::shared_ptr<RedisLink> self, WirePtr wire) {
  std::string batch;
  while (wire->broken.empty()) {
    if (wire->out.empty()) {
      co_await wire->wake.wait();
      continue;
    }
    batch.clear();
    batch.swap(wire->out);
    const Result<void> written = co_await wire->transport.write(asio::buffer(batch));
    if (!written) wire->break_off(self->told(written.error().text));
  }
}

// Notices a server that is silent though the connection looks well, within two time-outs.
Awaitable<void> RedisLink::keep_alive(std::shared_ptr<RedisLink> self, WirePtr wire) {
  SteadyTime asked = wire->last_read;
  while (wire->broken.empty()) {
    if (wire->last_read < asked) {
      wire->break_off(self->told(fmt::format("no answer in {} ms", self->settings_.timeout.count())));
      break;
    }
    wire->out += format_redis_command({"PING"});
    if (!self->hooks_.on_push) self->in_flight_.push_back(nullptr);
    wire->wake.notify();
    asked = SteadyClock::now();
    wire->tick.expires_after(self->settings_.timeout);
    co_await wire->tick.async_wait(kTuple);
  }
}

// Connecting and greeting together get one time-out.
void RedisLink::guard(const WirePtr& wire) {
  wire->watchdog.expires_after(settings_.timeout);
  wire->watchdog.async_wait([self = shared_from_this(), wire](error_code ec) {
    if (ec || wire->up) return;
    wire->break_off(self->told(fmt::format("no connection in {} ms", self->settings_.timeout.count())));
  });
}

void RedisLink::settle_in_flight() {
  std::deque<CallPtr> again;
  for (const CallPtr& call : std::exchange(in_flight_, {})) {
    if (!call || call->result) continue;
    if (call->repeat == Repeat::yes) {
      call->sent = false;
      again.push_back(call);
    } else {
      call->end(Error{Errc::timeout, trouble_ + " (before the answer: it may or may not have happened)"});
    }
  }
  waiting_.insert(waiting_.begin(), again.begin(), again.end());
}

std::string RedisLink::told(const std::string& trouble) const {
  return fmt::format("redis at {}:{}: {}", settings_.host, settings_.port, trouble);
}

}  // namespace alcove
