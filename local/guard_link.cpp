#include "local/guard_link.hpp"

#include "base/log.hpp"
#include "local/guard.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace alcove {
namespace {

constexpr int kGuardControl = 3;
constexpr int kGuardLock = 4;
constexpr Millis kReapPause{5};

// Runs this very binary again. posix_spawn and not fork: this process has threads and may be large.
Result<pid_t> run_guard(int socket, int lock) {
  // dup2 onto itself would leave close-on-exec set, and the targets may be in use by the sources: move both
  // far up.
  const int high_socket = ::fcntl(socket, F_DUPFD_CLOEXEC, 64);
  const int high_lock = ::fcntl(lock, F_DUPFD_CLOEXEC, 64);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, high_socket, kGuardControl);
  ::posix_spawn_file_actions_adddup2(&actions, high_lock, kGuardLock);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, kGuardLock + 1);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);

  std::string name = "alcove";
  std::string command(kGuardCommand);
  std::array<char*, 3> arguments{name.data(), command.data(), nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  ::close(high_socket);
  ::close(high_lock);
  if (error != 0)
    return Error{Errc::failed, fmt::format("the guard process of the local runtime cannot be started: {}",
                                           ::strerror(error))};
  return pid;
}

}  // namespace

Result<std::shared_ptr<GuardLink>> GuardLink::start(asio::io_context& context, int lock, OnMessage on_message,
                                                    OnEnd on_end) {
  std::array<int, 2> pair{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return Error{Errc::failed, fmt::format("no socket for the guard process: {}", ::strerror(errno))};
  const Result<pid_t> pid = run_guard(pair[1], lock);
  ::close(pair[1]);
  if (!pid) {
    ::close(pair[0]);
    return pid.error();
  }
  std::shared_ptr<GuardLink> link(
      new GuardLink(context, pair[0], *pid, std::move(on_message), std::move(on_end)));
  launch(link->executor_, receive_all(link));
  launch(link->executor_, send_all(link));
  return link;
}

GuardLink::GuardLink(asio::io_context& context, int socket, pid_t pid, OnMessage on_message, OnEnd on_end)
    : executor_(context.get_executor()),
      socket_(executor_, asio::generic::seq_packet_protocol(AF_UNIX, 0), socket),
      pid_(pid),
      on_message_(std::move(on_message)),
      on_end_(std::move(on_end)),
      out_changed_(executor_) {}

GuardLink::~GuardLink() {
  reap();
}

void GuardLink::send(const GuardMessage& message) {
  if (closed_) return;
  out_.push_back(encode(message));
  out_changed_.notify();
}

void GuardLink::close() {
  if (closed_) return;
  closed_ = true;
  on_message_ = nullptr;
  on_end_ = nullptr;
  error_code ignored;
  socket_.close(ignored);
  out_changed_.notify();
}

Awaitable<bool> GuardLink::exited(Millis most) {
  const SteadyTime until = SteadyClock::now() + most;
  Timer timer(executor_);
  while (!reap()) {
    if (SteadyClock::now() >= until) co_return false;
    timer.expires_after(kReapPause);
    co_await timer.async_wait(kTuple);
  }
  co_return true;
}

Awaitable<void> GuardLink::receive_all(std::shared_ptr<GuardLink> self) {
  std::string packet(2 * kMostMessageBytes, '\0');
  for (;;) {
    asio::socket_base::message_flags flags = 0;
    auto [ec, n] = co_await self->socket_.async_receive(asio::buffer(packet), flags, kTuple);
    if (self->closed_) co_return;
    if (ec || n == 0) break;
    auto message = decode(std::string_view(packet).substr(0, n));
    if (!message) {
      spdlog::error("the guard process of the local runtime speaks another version");
      break;
    }
    if (self->on_message_) self->on_message_(std::move(*message));
  }
  self->ended();
}

Awaitable<void> GuardLink::send_all(std::shared_ptr<GuardLink> self) {
  while (!self->closed_) {
    if (self->out_.empty()) {
      co_await self->out_changed_.wait();
      continue;
    }
    const std::string packet = std::move(self->out_.front());
    self->out_.pop_front();
    auto [ec, n] = co_await self->socket_.async_send(asio::buffer(packet), 0, kTuple);
    if (ec) co_return;  // receive_all notices the end
  }
}

void GuardLink::ended() {
  OnEnd on_end = std::move(on_end_);
  close();
  ::kill(pid_, SIGKILL);  // a guard that speaks no sense, or has only closed its end, must not keep the pods
  if (on_end) on_end();
}

bool GuardLink::reap() {
  if (!reaped_ && ::waitpid(pid_, nullptr, WNOHANG) != 0) reaped_ = true;
  return reaped_;
}

}  // namespace alcove
