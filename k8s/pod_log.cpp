#include "k8s/pod_log.hpp"

#include "base/text.hpp"
#include "k8s/pod_manifest.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace alcove::k8s {
namespace {

constexpr std::uint64_t kTailBytes = 64 * 1024;
constexpr Millis kLook{5'000};  // between looks for logs that nobody reads any more

}  // namespace

std::string joined_lines(const std::string& text, std::size_t bytes) {
  std::string out;
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t newline = text.rfind('\n', end - 1);
    const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
    const std::string line = printable(trim(std::string_view(text).substr(begin, end - begin)), bytes);
    if (!line.empty()) {
      if (!out.empty() && out.size() + line.size() + 3 > bytes) break;
      out = out.empty() ? line : line + " | " + out;
    }
    end = newline == std::string::npos ? 0 : newline;
  }
  return out;
}

PodLog::PodLog(Executor executor, ApiClient& api, std::string pod_path)
    : executor_(executor), api_(api), path_(std::move(pod_path)) {}

Awaitable<Result<void>> PodLog::take_what_is_there() {
  LogQuery query;
  query.container = kAppContainer;
  const ApiResult<std::string> text = co_await api_.log(path_, query, {Millis{5'000}, Millis{20'000}});
  if (!text) co_return to_error(text.error());
  if (begun_) co_return Result<void>{};  // somebody else was sooner
  begun_ = true;
  append(*text);
  co_return Result<void>{};
}

Awaitable<Result<LogChunk>> PodLog::read(std::shared_ptr<PodLog> self, std::uint64_t offset, bool tail) {
  self->used_ = SteadyClock::now();
  if (!self->begun_) {
    const Result<void> taken = co_await self->take_what_is_there();
    if (!taken) co_return taken.error();
  }
  const std::uint64_t end = self->begin_ + self->text_.size();
  std::uint64_t from = std::clamp(offset, self->begin_, end);
  if (tail) from = std::max(self->begin_, end > kTailBytes ? end - kTailBytes : 0);
  LogChunk chunk;
  chunk.text = self->text_.substr(from - self->begin_, kChunk);
  chunk.next = from + chunk.text.size();
  chunk.ended = self->ended_ && chunk.next == end;
  if (chunk.text.empty()) self->wants_follow_ = true;
  co_return chunk;
}

// The API follows from the beginning alone: what is known already is passed over.
Awaitable<void> PodLog::follow(std::shared_ptr<PodLog> self) {
  self->following_ = true;
  self->wants_follow_ = false;
  std::uint64_t known = self->begin_ + self->text_.size();
  const ApiResult<std::shared_ptr<HttpExchange>> stream =
      co_await self->api_.follow_log(self->path_, kAppContainer);
  if (stream) {
    self->stream_ = *stream;
    for (;;) {
      const Result<std::string> bytes = co_await HttpExchange::read(self->stream_);
      if (!bytes) break;
      if (bytes->empty()) {
        self->ended_ = true;
        break;
      }
      const std::uint64_t skipped = std::min<std::uint64_t>(known, bytes->size());
      known -= skipped;
      self->append(std::string_view(*bytes).substr(skipped));
    }
    self->stream_.reset();
  } else if (stream.error().reason == ApiReason::not_found) {
    self->ended_ = true;
  }
  self->following_ = false;
}

void PodLog::cancel() {
  if (stream_) stream_->cancel();
}

void PodLog::append(std::string_view text) {
  text_ += text;
  if (text_.size() <= 2 * kKept) return;
  const std::size_t dropped = text_.size() - kKept;
  text_.erase(0, dropped);
  begin_ += dropped;
}

PodLogs::PodLogs(Executor executor, ApiClient& api, Tasks& tasks, Pauses& pauses)
    : executor_(executor), api_(api), tasks_(tasks), pauses_(pauses) {}

Awaitable<Result<LogChunk>> PodLogs::read(std::string uid, std::string pod_path, std::uint64_t offset,
                                          bool tail) {
  std::shared_ptr<PodLog>& kept = logs_[uid];
  if (!kept) kept = std::make_shared<PodLog>(executor_, api_, std::move(pod_path));
  const std::shared_ptr<PodLog> log = kept;
  Result<LogChunk> chunk = co_await PodLog::read(log, offset, tail);
  if (log->wants_follow() && !closed_) tasks_.spawn(PodLog::follow(log));
  if (!std::exchange(tending_, true)) tasks_.spawn(tend());
  co_return chunk;
}

Awaitable<void> PodLogs::tend() {
  while (!logs_.empty() && !closed_) {
    co_await pauses_.pause(kLook);
    std::erase_if(logs_, [](const auto& entry) {
      if (!entry.second->idle()) return false;
      entry.second->cancel();
      return true;
    });
  }
  tending_ = false;
}

void PodLogs::forget(const std::string& uid) {
  logs_.erase(uid);
}

void PodLogs::close() {
  closed_ = true;
}

}  // namespace alcove::k8s
