// HttpExchange: one HTTP request of ours and its answer, seen from two sides: HttpThread writes what comes
// from the network, whoever asked awaits it. Made by: HttpThread::begin. Thread: the awaiting functions and
// cancel() on the executor's; the others, at the end, on HttpThread's. What both touch is under the mutex.
// Fails with: Errc::unavailable (no connection, it broke off), timeout, cancelled, limit (the answer is too
// long), invalid (a certificate that does not fit).
//
// Back-pressure: no more than kMostUnread bytes of a streamed body are kept; beyond that the network is not
// read until read() has taken them.
#pragma once

#include "base/event.hpp"
#include "base/net.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace alcove::k8s {

struct HttpOrder {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
  Millis timeout{0};    // for the whole of it; 0: none
  bool stream = false;  // the body is read bit by bit, for as long as it takes
};

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::optional<Millis> retry_after;
};

class HttpExchange : public std::enable_shared_from_this<HttpExchange> {
 public:
  static constexpr std::size_t kMostUnread = 1 << 20;
  static constexpr std::size_t kMostWhole = 256 << 20;  // of an answer that is not streamed

  HttpExchange(Executor executor, HttpOrder order);

  // The whole answer.
  static Awaitable<Result<HttpAnswer>> whole(std::shared_ptr<HttpExchange> self);
  // The status, once the head is there.
  static Awaitable<Result<int>> head(std::shared_ptr<HttpExchange> self);
  // What has come of the body; empty: that was all.
  static Awaitable<Result<std::string>> read(std::shared_ptr<HttpExchange> self);
  void cancel();

  // For HttpThread.
  const HttpOrder& order() const { return order_; }
  void on_wish(std::function<void()> tell) {
    tell_ = std::move(tell);
  }                                                     // cancelled, or read on; before begin
  bool taken() { return std::exchange(taken_, true); }  // HttpThread has seen it before
  bool cancelled() const;
  bool wants_more();  // it was paused and has been read: true once
  void on_head(int status);
  bool on_bytes(const char* data, std::size_t size);  // false: there is no room, pause and give them again
  void on_end(std::optional<Error> error, std::optional<Millis> retry_after);

 private:
  void wake();  // under the mutex: who awaits is told on the executor

  Executor executor_;
  HttpOrder order_;
  std::function<void()> tell_;
  bool taken_ = false;  // HttpThread's own
  Event changed_;

  mutable std::mutex mutex_;
  int status_ = 0;
  std::string body_;
  std::optional<Millis> retry_after_;
  std::optional<Error> error_;
  bool ended_ = false;
  bool cancelled_ = false;
  bool paused_ = false;
  bool woken_ = false;  // a wake-up is on its way
};

}  // namespace alcove::k8s
