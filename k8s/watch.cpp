#include "k8s/watch.hpp"

#include "k8s/api_client.hpp"

#include <utility>

namespace alcove::k8s {
namespace {

std::optional<Change> change_from(std::string_view type) {
  if (type == "ADDED") return Change::added;
  if (type == "MODIFIED") return Change::modified;
  if (type == "DELETED") return Change::deleted;
  if (type == "BOOKMARK") return Change::bookmark;
  return std::nullopt;
}

}  // namespace

ApiResult<void> WatchLines::take(std::string_view bytes, std::vector<WatchEvent>& events) {
  rest_.append(bytes);
  std::size_t at = 0;
  for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', at)) {
    Json line = Json::parse(rest_.begin() + static_cast<std::ptrdiff_t>(at),
                            rest_.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    at = end + 1;
    const std::string type = text_at(line, {"type"});
    const auto object = line.is_object() ? line.find("object") : line.end();
    if (type == "ERROR" && object != line.end()) return error_from_status(*object);
    const std::optional<Change> change = change_from(type);
    if (!change || object == line.end() || !object->is_object())
      return ApiError{ApiReason::not_understood,
                      "a watch of the Kubernetes API sent a line that is no event"};
    events.push_back({*change, {std::move(*object)}});
  }
  rest_.erase(0, at);
  if (rest_.size() > kMostLine)
    return ApiError{ApiReason::not_understood, "a watch of the Kubernetes API sent a line without an end"};
  return {};
}

Watch::Watch(std::shared_ptr<HttpExchange> exchange, std::shared_ptr<ApiMetrics> metrics)
    : exchange_(std::move(exchange)), metrics_(std::move(metrics)) {}

Awaitable<ApiResult<std::vector<WatchEvent>>> Watch::next(std::shared_ptr<Watch> self) {
  ApiResult<std::vector<WatchEvent>> events = co_await self->read_more();
  co_return events;
}

Awaitable<ApiResult<std::vector<WatchEvent>>> Watch::read_more() {
  std::vector<WatchEvent> events;
  while (events.empty()) {
    if (error_) co_return *error_;
    const Result<std::string> bytes = co_await HttpExchange::read(exchange_);
    if (!bytes) {
      error_ = error_from_transport(bytes.error());
      continue;
    }
    if (bytes->empty()) break;
    if (const ApiResult<void> taken = lines_.take(*bytes, events); !taken) error_ = taken.error();
  }
  metrics_->watch_events.add(events.size());
  co_return events;
}

}  // namespace alcove::k8s
