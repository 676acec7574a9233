#include "k8s/http_exchange.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace alcove::k8s {

HttpExchange::HttpExchange(Executor executor, HttpOrder order)
    : executor_(executor), order_(std::move(order)), changed_(executor) {}

Awaitable<Result<int>> HttpExchange::head(std::shared_ptr<HttpExchange> self) {
  for (;;) {
    {
      const std::lock_guard lock(self->mutex_);
      if (self->status_ != 0) co_return self->status_;
      if (self->ended_) co_return self->error_.value_or(Error{Errc::unavailable, "no answer"});
    }
    co_await self->changed_.wait();
  }
}

Awaitable<Result<HttpAnswer>> HttpExchange::whole(std::shared_ptr<HttpExchange> self) {
  for (;;) {
    {
      const std::lock_guard lock(self->mutex_);
      if (self->ended_) {
        if (self->error_) co_return *self->error_;
        co_return HttpAnswer{self->status_, std::move(self->body_), self->retry_after_};
      }
    }
    co_await self->changed_.wait();
  }
}

Awaitable<Result<std::string>> HttpExchange::read(std::shared_ptr<HttpExchange> self) {
  for (;;) {
    bool resume = false;
    std::string taken;
    {
      const std::lock_guard lock(self->mutex_);
      taken = std::exchange(self->body_, {});
      resume = self->paused_ && !self->ended_;
      if (taken.empty() && self->ended_) {
        if (self->error_) co_return *self->error_;
        co_return taken;
      }
    }
    if (resume) self->tell_();
    if (!taken.empty()) co_return taken;
    co_await self->changed_.wait();
  }
}

void HttpExchange::cancel() {
  {
    const std::lock_guard lock(mutex_);
    if (ended_ || cancelled_) return;
    cancelled_ = true;
  }
  tell_();
}

bool HttpExchange::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

bool HttpExchange::wants_more() {
  const std::lock_guard lock(mutex_);
  if (!paused_ || body_.size() >= kMostUnread) return false;
  paused_ = false;
  return true;
}

void HttpExchange::on_head(int status) {
  const std::lock_guard lock(mutex_);
  status_ = status;
  if (order_.stream) wake();
}

bool HttpExchange::on_bytes(const char* data, std::size_t size) {
  const std::lock_guard lock(mutex_);
  if (order_.stream && body_.size() >= kMostUnread) {
    paused_ = true;
    return false;
  }
  body_.append(data, size);
  if (order_.stream) wake();
  return true;
}

void HttpExchange::on_end(std::optional<Error> error, std::optional<Millis> retry_after) {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  error_ = std::move(error);
  retry_after_ = retry_after;
  wake();
}

// The handler keeps the exchange: its last owner is so always on the executor's thread, where its timer
// lives.
void HttpExchange::wake() {
  if (woken_) return;
  woken_ = true;
  asio::post(executor_, [self = shared_from_this()] {
    {
      const std::lock_guard lock(self->mutex_);
      self->woken_ = false;
    }
    self->changed_.notify();
  });
}

}  // namespace alcove::k8s
