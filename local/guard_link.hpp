// The owner's end of the guard: starts the process, sends and receives messages, notices its end.
// Called by: local runtime (owner). Thread: the control thread's io_context.
// Owns: the guard process, as long as the socket is open: closing it ends all pods. Coroutines of it hold it
// alive. Fails: start() with std::runtime_error's text in an Error; later only through `on_end`.
#pragma once

#include "base/event.hpp"
#include "base/net.hpp"
#include "base/result.hpp"
#include "local/guard_protocol.hpp"

#include <boost/asio/basic_seq_packet_socket.hpp>
#include <boost/asio/generic/seq_packet_protocol.hpp>

#include <sys/types.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace alcove {

class GuardLink : public std::enable_shared_from_this<GuardLink> {
 public:
  using OnMessage = std::function<void(GuardMessage)>;
  using OnEnd = std::function<void()>;  // the guard has died; not called after close()

  // `lock` is the descriptor that holds the state directory's lock: the guard keeps it until its pods are
  // gone.
  static Result<std::shared_ptr<GuardLink>> start(asio::io_context& context, int lock, OnMessage on_message,
                                                  OnEnd on_end);
  ~GuardLink();
  GuardLink(const GuardLink&) = delete;
  GuardLink& operator=(const GuardLink&) = delete;

  void send(const GuardMessage& message);
  void close();  // the guard ends its pods and itself; on_message and on_end are not called any more
  pid_t pid() const { return pid_; }
  Awaitable<bool> exited(Millis most);  // after close(): waits for the process, reaps it

 private:
  using PacketSocket = asio::basic_seq_packet_socket<asio::generic::seq_packet_protocol, Executor>;

  GuardLink(asio::io_context& context, int socket, pid_t pid, OnMessage on_message, OnEnd on_end);
  static Awaitable<void> receive_all(std::shared_ptr<GuardLink> self);
  static Awaitable<void> send_all(std::shared_ptr<GuardLink> self);
  void ended();
  bool reap();

  Executor executor_;
  PacketSocket socket_;
  pid_t pid_;
  bool reaped_ = false;
  bool closed_ = false;
  OnMessage on_message_;
  OnEnd on_end_;
  std::deque<std::string> out_;
  Event out_changed_;
};

}  // namespace alcove
