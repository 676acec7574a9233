// Relay: sends one prepared request to one pod connection and streams both bodies, with the await on each
// write as the back-pressure: nothing is queued, no whole body is in memory, every read is passed on at once.
// Step 8 of the way of a request. Made by exchange for each try. Thread: the worker's.
// The upload runs in a coroutine of its own only while there is body left that was not sent with the head.
// Answers with an Outcome; after the response head has been sent nothing can be answered any more.
#pragma once

#include "base/event.hpp"
#include "proxy/exchange.hpp"
#include "proxy/gather.hpp"

#include <optional>

namespace alcove::proxy {

class Relay {
 public:
  Relay(Exchange& exchange, PodConn& pod);
  ~Relay();

  struct Outcome {
    std::optional<Failure> failure;  // first failure; nothing has been sent to the client unless `answered`
    bool answered = false;           // the response head has been sent
    bool retry = false;        // the pod cannot have seen the request (or may see it twice, RFC 9110 9.2.2)
    bool successor = false;    // it may have, but another pod can be sent it (idempotent, without a body)
    bool keep_client = false;  // the client connection is good for another request
    bool keep_pod = false;     // the same for the pod connection
    bool tunnel = false;       // 101: go on as a tunnel
  };
  Awaitable<Outcome> run();

 private:
  Awaitable<std::optional<Outcome>> send_head();
  Awaitable<std::optional<Failure>> upload_pieces();
  Awaitable<void> upload();
  Awaitable<void> end_upload();
  Awaitable<std::optional<Outcome>> response_head();  // reads to the final head and sends it
  Awaitable<std::optional<Failure>> response_body();
  Awaitable<std::size_t> receive_from_pod();
  std::size_t read_from_pod();
  void join_small(Gather& parts);
  void begin_to_write(Gather& parts);
  Awaitable<bool> write_rest(Gather parts);
  Failure pod_failure(const char* what) const;
  Failure client_failure(Phase phase) const;
  bool may_retry() const;
  bool may_go_to_successor() const;
  std::optional<Failure> refuse(const BodyReader::Piece& piece) const;
  void limit_wait();
  void note_busy(const ResponseHead& head);

  Exchange& exchange_;
  ClientConn& conn_;
  PodConn& pod_;
  WorkerMetrics& metrics_;
  error_code pod_error_;
  BodyReader download_{BodyFraming{}};
  bool chunk_to_client_ = false;
  bool final_keep_alive_ = false;
  Millis body_idle_{0};    // how long the answer's body may be silent
  bool sent_any_ = false;  // a byte of the request has been sent
  bool got_any_ = false;   // a byte of the answer has come
  bool upload_running_ = false;
  bool upload_stop_ = false;
  bool pod_refuses_body_ = false;  // writing failed: its answer may still be there
  std::optional<Failure> upload_failure_;
  std::optional<Event> upload_ended_;
  PooledText head_;  // of the answer
  Outcome outcome_;
};

}  // namespace alcove::proxy
