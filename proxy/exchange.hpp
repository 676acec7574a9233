// Exchange: one request and its response. This is the story of a request: run() is read from top to bottom,
// and every step is a call to the file that knows how. Steps 3 to 11 of the way of a request;
// exchange_prepare.cpp has 3 to 5, exchange_hold.cpp has 6. Called by client_conn. Thread: the worker's. A
// local of its connection's coroutine; owns the pod connection while it uses it. Fails by answering: every
// failure is turned into a response by `answer`, or, once the response head has been sent, into the end of
// the connection. The first failure wins and is what the access log shows.
#pragma once

#include "base/failure.hpp"
#include "proxy/body.hpp"
#include "proxy/client_conn.hpp"
#include "proxy/pod_pool.hpp"
#include "proxy/rare.hpp"
#include "proxy/respond.hpp"
#include "proxy/wake.hpp"

#include <memory>
#include <optional>
#include <string>

namespace alcove::proxy {

struct OwnRequest;
class Tunnel;

class Exchange {
 public:
  enum class After : std::uint8_t {
    keep_alive,  // the next request may follow
    close,       // answered, but the request was not read to its end: linger
    abort,       // nothing more can be said to this client
    tunnel,      // switched protocols: tunnel() is to be awaited
  };

  explicit Exchange(ClientConn& conn);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // The head is the first `head_size` bytes of conn.in.
  Awaitable<After> run(std::size_t head_size);
  // To the end of both sides. Not within run(), whose frames weigh more than the rest of a tunnel.
  Awaitable<void> tunnel();

  // Answers a head that could not even be parsed; logged as an exchange of its own.
  static Awaitable<void> refuse(ClientConn& conn, Failure failure);

 private:
  friend class Relay;
  friend class Tunnel;
  friend class OwnPages;

  // What is kept of the head once its buffer is reused.
  struct Facts {
    std::string_view method, host, path;  // in told_; path with query, for the log and the pages
    bool http11 = true;
    bool keep_alive = false;
    bool head_only = false;
    bool html = false;        // a browser's navigation: GET, wants text/html
    bool idempotent = false;  // RFC 9110 9.2.2
    bool websocket = false;
    bool expects_continue = false;
    bool quiet = false;         // no activity: a polling path
    Sleep sleep = Sleep::none;  // why it may not start a pod
    BodyFraming body;
  };
  // What has gone wrong on the way to a pod. Few requests have any.
  struct Setbacks {
    Millis pause{10};  // before it is dialled again
    // The pod that broke off before a byte of its answer: only its successor may be sent the request again.
    std::string dead_uid;
    std::optional<Failure> broken_off;
    SteadyTime successor_until{};
  };

  std::optional<Failure> prepare(std::size_t head_size);  // steps 3 to 5, without suspending
  void remember(const RequestHead& head);
  void enter_environment(const Route& route, const Principal& principal);
  void write_pod_head(const Route& route);
  Awaitable<After> serve_own_page();
  Awaitable<void> check_environment();
  Awaitable<void> find_quietly();
  Awaitable<void> hold();  // step 6
  bool enter_hold();
  void take_outcome(WaitingRooms::Seat& seat, bool show_page);
  void leave_hold(SteadyTime entered);
  Awaitable<After> show_waiting_page();
  Awaitable<std::optional<After>> try_pod();  // steps 7 and 8
  Awaitable<bool> dial_again_later();
  Setbacks& setbacks();
  std::unique_ptr<PodConn> take_idle();           // step 7
  Awaitable<std::unique_ptr<PodConn>> connect();  // step 7
  Awaitable<After> answer(Failure failure);
  Awaitable<After> answer();  // failure_
  Awaitable<After> reply(Reply reply);
  bool can_keep_alive() const;
  // The request's body goes through these two, wherever it goes: a piece that was taken and not consumed must
  // neither be decoded twice nor be read as the next request.
  BodyReader::Piece take_body();
  void consume_body();
  bool request_read() const { return upload_.done() && taken_ == 0 && !upload_cut_; }
  void drop_body();
  ReplyContext reply_context() const;
  void use_route(RoutePtr route);
  void log();

  ClientConn& conn_;
  Worker& worker_;
  SettingsPtr settings_;  // the ones this exchange began with
  std::array<char, 16> id_;
  SteadyTime began_;
  Facts facts_;
  std::unique_ptr<OwnRequest> own_;  // set: a path under /.alcove/
  const AppSettings* app_ = nullptr;
  SessionKey key_;
  std::string user_;
  PooledText told_;      // what facts_ shows
  PooledText pod_head_;  // the rewritten head, ready to be sent
  BodyReader upload_{BodyFraming{}};
  std::size_t taken_ = 0;  // raw bytes at the front of conn_.in that belong to the piece taken last
  RoutePtr route_;
  std::unique_ptr<Tunnel> tunnel_;
  std::unique_ptr<Setbacks> setbacks_;
  SteadyTime ready_at_{};
  SteadyTime hold_until_{};

  // Side by side, since a tunnel keeps its exchange.
  bool environment_ = false;  // the record decides whether this user may enter
  bool upload_cut_ = false;   // the body was not passed on to its end
  bool in_flight_ = false;    // counted in the route
  bool from_hold_ = false;
  bool logged_ = false;
  bool own_reply_ = false;
  bool reused_ = false;
  After last_after_ = After::abort;  // of the last reply of our own
  int status_ = 0;

  // For the log
  std::string_view source_ = "";
  Rare<Failure> failure_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::uint32_t tries_ = 0;
  std::uint32_t stale_connections_ = 0;
  std::int64_t hold_us_ = -1;
  std::int64_t dial_us_ = -1;
  std::int64_t first_us_ = -1;
};

}  // namespace alcove::proxy
