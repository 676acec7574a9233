// ClientConn: one client's TCP connection: TLS handshake, then request after request (keep-alive,
// pipelining), each handed to an Exchange, then a polite close. Step 2 of the way of a request. Started by
// listener; lives in its own coroutine. Thread: the worker's. Owns the socket and the read buffer (borrowed
// from the pool only while bytes are expected).
//
// Deadlines cost next to nothing on the hot path: a moving time point that the worker's tick looks at. When
// it has passed, the tick cancels what is waited for, again at every tick until the coroutine has moved on,
// so no wake-up can be missed. That the client has left (rule 23) is told by the poller and acted upon by the
// next tick: who ends the connection right behind a request is still answered if the pod is quick.
#pragma once

#include "base/event.hpp"
#include "base/net.hpp"
#include "proxy/buffer.hpp"
#include "proxy/hold.hpp"
#include "proxy/stream.hpp"
#include "proxy/worker.hpp"

#include <memory>
#include <string>

namespace alcove::proxy {

class PodConn;

class ClientConn final : private EndListener {
 public:
  // Runs a connection to its end. `tls`: the listener's context, or nullptr.
  static Awaitable<void> serve(Worker& worker, Fd socket, std::shared_ptr<asio::ssl::context> tls,
                               asio::ip::address address, std::uint16_t port);

  ClientConn(Worker& worker, Fd socket, asio::ip::address address, std::uint16_t port);
  ~ClientConn();

  // --- for exchange, relay, tunnel ---
  Worker& worker;
  ClientStream stream;
  Buffer in;
  const asio::ip::address peer;
  const std::string peer_text;
  const std::uint16_t local_port;
  std::uint32_t requests = 0;

  // From now on, what is awaited must be over within `after`.
  void limit(Millis after) { limit_at(worker.now() + after); }
  void limit_at(SteadyTime deadline) {
    deadline_ = deadline;
    expired_ = false;
    worker.connections.by(*this, deadline);
  }
  void unlimited() {
    deadline_ = SteadyTime::max();
    expired_ = false;
  }
  bool expired() const { return expired_; }
  // While set, what is awaited ends soon after the client has left (rule 23).
  void watch_client(bool on) {
    watch_client_ = on;
    if (on)
      look_at_next_tick();
    else
      stream.socket().await_end_no_more();
  }
  bool gone() const { return gone_; }
  void set_pod(PodConn* pod) { pod_ = pod; }
  void set_seat(WaitingRooms::Seat* seat) { seat_ = seat; }
  void set_tunnel(bool on);
  // A tunnel's time is over because we drain: it is to end between two frames, with a close frame.
  bool leaving() const { return leaving_; }
  void set_between_requests(bool on);
  // Ends whatever is being awaited on either side.
  void cancel();
  void cancel_pod();
  // Least rate of a request body (rule 21): only the time counts that is spent waiting for the client.
  void begin_upload() { upload_rate_ = {}; }
  void begin_upload_wait();
  void end_upload_wait(std::size_t received);
  bool too_slow() const { return too_slow_; }
  void clear_too_slow() { too_slow_ = false; }

  // For worker.connections.
  SteadyTime on_tick(SteadyTime now);
  std::uint32_t tick_place = 0;
  // A tunnel ends at a moment of its own; an exchange goes on and its answer says that it is the last; an
  // idle connection is closed once no request can be on its way any more (on_tick).
  void on_drain();
  void end();  // the hard end: nothing is waited for any more

  // Sends all of `data` within timeouts.body_idle per progress. False: the client is gone or too slow.
  Awaitable<bool> send(std::string_view data);
  // Reads what comes into `in`. 0: end of stream or error (ec says which).
  Awaitable<std::size_t> receive(error_code& ec);
  std::size_t receive_now(error_code& ec);  // the same without waiting: would_block

 private:
  Awaitable<void> run(std::shared_ptr<asio::ssl::context> tls);
  Awaitable<bool> handshake(asio::ssl::context& context);
  Awaitable<std::size_t> read_head();  // its size; 0: nothing more to do here
  Awaitable<void> refuse_head(bool oversized);
  std::size_t most_head_bytes() const;
  Awaitable<void> linger();
  void on_end() override { look_at_next_tick(); }
  void look_at_next_tick() { worker.connections.by(*this, kNextTick); }
  SteadyTime rate_window_end() const;
  void check_upload_rate(SteadyTime now);

  struct UploadRate {
    std::uint64_t bytes = 0;               // in this window
    Millis waited{0};                      // in this window, before `since`
    SteadyTime since = SteadyTime::max();  // of this wait; max: not waiting
    bool waiting() const { return since != SteadyTime::max(); }
  };

  SteadyTime deadline_ = SteadyTime::max();
  PodConn* pod_ = nullptr;
  WaitingRooms::Seat* seat_ = nullptr;
  bool expired_ = false;
  bool watch_client_ = false;
  bool gone_ = false;
  bool too_slow_ = false;
  bool between_requests_ = false;
  bool refused_ = false;  // answered a head that could not be read: linger
  bool tunnel_ = false;
  bool leaving_ = false;
  SteadyTime leave_at_ = SteadyTime::max();
  UploadRate upload_rate_;
  SteadyTime idle_since_{};
};

}  // namespace alcove::proxy
