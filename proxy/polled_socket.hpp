// PolledSocket: a TCP connection whose readiness a Poller keeps. Everything here returns at once;
// wait_readable() and wait_writable() are what is awaited. Used by stream (clients) and pod_pool (pods).
// Thread: the worker's. Owns the descriptor. It stays where it is (its poller knows its address), and nobody
// waits for it when it ends.
#pragma once

#include "base/endpoint.hpp"
#include "base/fd.hpp"
#include "base/net.hpp"
#include "proxy/gather.hpp"
#include "proxy/poller.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace alcove::proxy {

class EndListener {
 public:
  // The other side has ended, by FIN or RST, even behind bytes that nobody has read yet.
  virtual void on_end() = 0;

 protected:
  ~EndListener() = default;
};

class PolledSocket {
 public:
  explicit PolledSocket(Poller& poller) : poller_(poller) {}
  // `fd` is connected and non-blocking.
  PolledSocket(Poller& poller, Fd fd) : poller_(poller), fd_(std::move(fd)) {}
  PolledSocket(const PolledSocket&) = delete;
  PolledSocket& operator=(const PolledSocket&) = delete;
  ~PolledSocket() { close(); }

  int fd() const { return fd_.get(); }

  // Reads what is there, at most `size` bytes. 0 with ec: would_block, eof or what is wrong. would_block also
  // where others are to have their turn: whoever then waits goes on after them.
  std::size_t try_read(char* data, std::size_t size, error_code& ec);
  // Sends what can be sent. 0 with ec: would_block or what is wrong.
  std::size_t try_write(std::string_view data, error_code& ec);
  std::size_t try_write(const Gather& parts, error_code& ec);

  // Ready if a try may do more than to answer would_block, also if the other side has ended.
  Readiness wait_readable() { return {*this, false}; }
  Readiness wait_writable() { return {*this, true}; }
  // For who goes on without reading: counts as a read, and lets others have their turn when they are due.
  Readiness take_turn();
  // Nothing is there to be read, and the other side has not ended. As of the poller's last batch of events;
  // `surely`: as of now.
  bool is_quiet(bool surely);
  bool available() const;  // bytes, not only an end, are there
  // Has the other side ended? False also as long as that is not known: the listener is told when it is, until
  // the end is not awaited any more.
  bool await_end();
  void await_end_no_more();
  void set_end_listener(EndListener* listener) { end_listener_ = listener; }  // lives as long as this

  // Opens a socket with TCP_NODELAY and connects it. operation_aborted: cancelled meanwhile.
  Awaitable<error_code> connect(Endpoint endpoint);

  void cancel();  // whoever waits gets operation_aborted, soon
  void shutdown_send();
  void close();

 private:
  friend class Poller;
  friend class ReadinessAwaiter;

  error_code ensure_watched(bool to_write);
  void give_up(const error_code& ec);

  Poller& poller_;
  Fd fd_;
  ReadinessAwaiter* readers_ = nullptr;
  ReadinessAwaiter* writers_ = nullptr;
  EndListener* end_listener_ = nullptr;
  std::uint32_t watched_ = 0;  // the events that the poller watches for
  // Both until a try has shown otherwise: often there is something before anybody has waited.
  bool readable_ = true;
  bool writable_ = true;
  bool end_awaited_ = false;
  bool ended_ = false;  // the end is in the queue: a short read does not mean that it is empty
};

}  // namespace alcove::proxy
