// Poller: the readiness of one worker's sockets. Every socket is registered once, edge-triggered, with an
// epoll instance of the worker's own (epoll(7)); what is known of its readiness is kept in the socket. So a
// request on kept connections costs two reads, two writes and its share of an epoll_wait, where Asio's
// reactor reads once more to find nothing, or arms the descriptor anew, for each wait. The epoll instance is
// itself watched by the worker's io_context, which runs everything else: timers, the store, other threads'
// posts.
// Thread: the worker's. Owned by worker; outlives its sockets.
#pragma once

#include "base/net.hpp"

#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <sys/epoll.h>

#include <array>
#include <coroutine>
#include <cstdint>
#include <vector>

namespace alcove::proxy {

class PolledSocket;

// The wait of one coroutine. In its frame; linked into the socket's list while it waits, then into the
// poller's.
class ReadinessAwaiter {
 public:
  ReadinessAwaiter(PolledSocket& socket, bool to_write, bool ready)
      : socket_(socket), to_write_(to_write), ready_(ready) {}
  ReadinessAwaiter(const ReadinessAwaiter&) = delete;
  ReadinessAwaiter& operator=(const ReadinessAwaiter&) = delete;

  bool await_ready() const noexcept;
  void await_suspend(std::coroutine_handle<> waiting);
  error_code await_resume() const noexcept { return ec_; }

 private:
  friend class Poller;
  friend class PolledSocket;

  PolledSocket& socket_;
  bool to_write_;
  bool ready_;
  error_code ec_;
  std::coroutine_handle<> waiting_;
  ReadinessAwaiter* next_ = nullptr;
};

// `error_code ec = co_await socket.wait_readable()`. operation_aborted: cancelled.
struct Readiness {
  PolledSocket& socket;
  bool to_write;
  bool ready = false;  // for another reason than the socket

  ReadinessAwaiter operator co_await() const { return {socket, to_write, ready}; }
};

class Poller {
 public:
  explicit Poller(
      asio::io_context& io);  // throws boost::system::system_error if there are no descriptors left
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

 private:
  friend class PolledSocket;
  friend class ReadinessAwaiter;

  static constexpr int kBatch = 128;
  static constexpr int kManyEvents = 4;  // more are likely to have come meanwhile
  static constexpr int kRounds = 4;      // then whatever else the io_context has to do is due
  // Reads that one coroutine may do before others have their turn. A source that is faster than we are always
  // has more, and nothing else on this thread would run: no deadline, no beat, no other connection.
  static constexpr int kReads = 32;

  error_code watch(PolledSocket& socket, std::uint32_t events, bool anew);
  void forget(PolledSocket& socket);  // it ends: what this batch still has for it is void
  void began_to_wait();
  void ceased_to_wait();
  void resume_later(ReadinessAwaiter* first);
  bool is_listening() const { return armed_ || in_turn_; }  // events are not left lying
  bool may_read() const { return reads_left_ > 0; }
  void has_read() { --reads_left_; }
  void wake_after_others(PolledSocket& socket);

  void arm();
  void disarm_if_idle();
  void turn();
  void dispatch(PolledSocket& socket, std::uint32_t events);
  void append(ReadinessAwaiter* first);
  void run_ready();
  void post_ready();

  asio::io_context& io_;
  asio::posix::basic_stream_descriptor<Executor> epoll_;
  std::array<epoll_event, kBatch> events_;
  int next_event_ = 0;
  int event_count_ = 0;
  std::size_t waiting_ = 0;
  ReadinessAwaiter* ready_ = nullptr;  // to be resumed, in this order
  ReadinessAwaiter** ready_end_ = &ready_;
  std::vector<PolledSocket*> after_others_;
  int reads_left_ = kReads;
  bool armed_ = false;
  bool in_turn_ = false;
  bool posted_ = false;
};

}  // namespace alcove::proxy
