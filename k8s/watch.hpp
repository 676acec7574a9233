// Watch: one open watch of the Kubernetes API: events as they come, until the server ends it. WatchLines is
// the part without I/O: bytes to events. Made by: ApiClient::watch. Called by: informer. Thread: the
// executor's. Owns: its exchange. Fails with: an ApiError; `gone` if the resource version is too old to go on
// from. Source: Kubernetes API concepts, "Efficient detection of changes".
#pragma once

#include "base/net.hpp"
#include "k8s/api_error.hpp"
#include "k8s/http_exchange.hpp"
#include "k8s/metrics.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace alcove::k8s {

enum class Change : std::uint8_t { added, modified, deleted, bookmark };

struct WatchEvent {
  Change change = Change::added;
  Object object;  // of a bookmark only the resource version counts
};

class WatchLines {
 public:
  static constexpr std::size_t kMostLine = 16 << 20;

  // The events whose lines are whole by now. An ERROR event ends it: what came before is in `events`.
  ApiResult<void> take(std::string_view bytes, std::vector<WatchEvent>& events);

 private:
  std::string rest_;
};

class Watch {
 public:
  Watch(std::shared_ptr<HttpExchange> exchange, std::shared_ptr<ApiMetrics> metrics);

  // What has come since the last call, at least one; none: the server has ended the watch in order, go on
  // with another. After an error there is no more.
  static Awaitable<ApiResult<std::vector<WatchEvent>>> next(std::shared_ptr<Watch> self);
  void cancel() { exchange_->cancel(); }

 private:
  Awaitable<ApiResult<std::vector<WatchEvent>>> read_more();

  std::shared_ptr<HttpExchange> exchange_;
  std::shared_ptr<ApiMetrics> metrics_;
  WatchLines lines_;
  std::optional<ApiError> error_;
};

}  // namespace alcove::k8s
