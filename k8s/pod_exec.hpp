// PodExec: a command in a pod's container, with its input and its output: what a terminal is made of. Made
// and opened by: ApiClient::exec. Thread: the executor's. Owns: the WebSocket. Fails with: an ApiError, with
// the API's own reason where it has one: forbidden (the account needs `pods/exec`: get, and from Kubernetes
// 1.35 on create as well), not_found, bad_request (the pod has no node yet), server (its container does not
// run, or has no such program). Nothing is tried again: a command may have begun.
//
// That it is open does not mean that the command runs: from Kubernetes 1.30 on the API opens it before it
// asks the node, and any version opens it before it looks for the program. What fails after that is how it
// ends: an error of read(), which ApiMetrics, that count the opening, know nothing of.
//
// Each message has a channel as its first byte: 0 input, 1 output, 2 errors, 3 how it ended, 4 the terminal's
// size, and in v5 of the protocol 255, the end of another channel. Source: Kubernetes,
// k8s.io/apimachinery/pkg/util/remotecommand and KEP-4006.
#pragma once

#include "base/time.hpp"
#include "k8s/api_error.hpp"
#include "k8s/web_socket.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace alcove::k8s {

struct ExecQuery {
  std::string container;
  std::vector<std::string> command;
  bool terminal = true;  // it has one, with a size; then its errors come as output
  Millis opens{10'000};  // given up if it is not open after this
};

struct ExecNews {
  enum class Kind : std::uint8_t { output, errors, end };
  Kind kind = Kind::output;
  std::string bytes;
  int exit_code = 0;  // of an end
};

// What to ask for below a pod's path, and the protocols to offer.
std::string exec_target(std::string_view pod_path, const ExecQuery& query);
inline constexpr const char* kExecProtocols = "v5.channel.k8s.io, v4.channel.k8s.io";

class PodExec {
 public:
  static constexpr std::size_t kMostInput = 16 * 1024;  // of one message; more goes as several

  // `terminal`: as the query that was asked for.
  PodExec(std::shared_ptr<WebSocket> socket, bool terminal)
      : socket_(std::move(socket)), terminal_(terminal) {}

  static Awaitable<ApiResult<void>> open(std::shared_ptr<PodExec> self);
  // What comes next; after the end, the end again, also if that is an error. Whoever does not read lets the
  // command wait.
  static Awaitable<ApiResult<ExecNews>> read(std::shared_ptr<PodExec> self);
  // One of these three at a time.
  static Awaitable<ApiResult<void>> write(std::shared_ptr<PodExec> self, std::string input);
  // An error without a terminal: from Kubernetes 1.30 on such a size is sent to nobody, and all input after
  // it waits for that.
  static Awaitable<ApiResult<void>> resize(std::shared_ptr<PodExec> self, std::uint16_t columns,
                                           std::uint16_t rows);
  // Not before v5, that is Kubernetes 1.30. A terminal's input ends with Ctrl-D anyway.
  static Awaitable<ApiResult<void>> end_input(std::shared_ptr<PodExec> self);
  bool can_end_input() const;
  // Breaks it off. The command goes on: without a terminal its input ends, and that ends most, but with one
  // it is left as it is, no hang-up and no end of input (containerd 1.6). Who wants it gone has it told by
  // what is typed, or by another command, before.
  void cancel() { socket_->cancel(); }

 private:
  Awaitable<ApiResult<void>> send(std::string message);

  std::shared_ptr<WebSocket> socket_;
  bool terminal_;
  std::optional<ApiResult<int>> end_;  // the exit code, or why there is none
};

}  // namespace alcove::k8s
