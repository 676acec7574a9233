// PodLog: the output of one pod, by offsets from its beginning, as the Runtime interface has it; the
// Kubernetes API knows none. The first read gets what there is; whoever comes back for more makes it follow
// the log, until nobody has asked for kIdle. Called by: kubernetes_runtime. Thread: the executor's. Keeps the
// newest kKept bytes. Fails with: what the API says (not_found, invalid: the container has not been started).
#pragma once

#include "k8s/api_client.hpp"
#include "k8s/signal.hpp"
#include "lifecycle/runtime.hpp"
#include "lifecycle/tasks.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace alcove::k8s {

// The last lines, printable, on one line joined by " | ", at most `bytes`; empty if there are none.
std::string joined_lines(const std::string& text, std::size_t bytes);

class PodLog : public std::enable_shared_from_this<PodLog> {
 public:
  static constexpr std::size_t kKept = 1 << 20;
  static constexpr std::size_t kChunk = 64 * 1024;
  static constexpr Millis kIdle{30'000};

  PodLog(Executor executor, ApiClient& api, std::string pod_path);

  static Awaitable<Result<LogChunk>> read(std::shared_ptr<PodLog> self, std::uint64_t offset, bool tail);
  // Until the log ends, cancel(), or nobody reads any more.
  static Awaitable<void> follow(std::shared_ptr<PodLog> self);
  bool wants_follow() const { return wants_follow_ && !following_ && !ended_; }
  bool idle() const { return SteadyClock::now() - used_ > kIdle; }
  void cancel();

 private:
  Awaitable<Result<void>> take_what_is_there();
  void append(std::string_view text);

  Executor executor_;
  ApiClient& api_;
  std::string path_;
  std::string text_;
  std::uint64_t begin_ = 0;  // offset of text_[0]
  std::shared_ptr<HttpExchange> stream_;
  SteadyTime used_ = SteadyClock::now();
  bool begun_ = false;
  bool wants_follow_ = false;
  bool following_ = false;
  bool ended_ = false;
};

// The logs that somebody reads, by the UIDs of their pods. `tasks` and `pauses` are the runtime's; close()
// comes before their end, and nothing is followed after it. Outlives its coroutines.
class PodLogs {
 public:
  PodLogs(Executor executor, ApiClient& api, Tasks& tasks, Pauses& pauses);

  Awaitable<Result<LogChunk>> read(std::string uid, std::string pod_path, std::uint64_t offset, bool tail);
  void forget(const std::string& uid);
  void close();

 private:
  Awaitable<void> tend();  // lets go of logs that nobody reads any more

  Executor executor_;
  ApiClient& api_;
  Tasks& tasks_;
  Pauses& pauses_;
  std::map<std::string, std::shared_ptr<PodLog>> logs_;
  bool tending_ = false;
  bool closed_ = false;
};

}  // namespace alcove::k8s
