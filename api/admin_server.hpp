// AdminServer: the listener for people and monitoring. Not on the way of users' requests.
//   GET /healthz /readyz /metrics
//   GET /api/v1/sessions[?scope=APP]     GET, POST, PATCH, DELETE /api/v1/sessions/SCOPE/NAME[?wait=30s]
//   GET /api/v1/sessions/SCOPE/NAME/logs[?follow=1&tail=1&generation=N]
// Called by: alcove/, which gives it a store of its own and runs the io_context on a thread of its own.
// Thread: that one. Owns: its acceptor and connections. Bounded: connections, head, body, time of each step.
// Fails with: bind() says Errc::unavailable and names the address. /healthz and /readyz answer without the
// token, since probes have none and they tell nothing but names of roles; all else needs it (access.hpp).
#pragma once

#include "api/log_source.hpp"
#include "api/session_routes.hpp"
#include "base/fd.hpp"

#include <prometheus/collectable.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace alcove {

class AdminConn;

struct Readiness {
  std::string name;                                   // "gateway", "store"
  std::function<std::optional<std::string>()> fault;  // empty: ready; else what is missing. Any thread
};

class AdminServer {
 public:
  struct Parts {
    SettingsPtr settings;
    Store* store = nullptr;     // on the same io_context, outlives the server
    LogSource* logs = nullptr;  // nullptr: this process runs no pods
    std::vector<Readiness> checks;
    std::vector<std::shared_ptr<prometheus::Collectable>> metrics;
    bool count_sessions = false;  // with the metrics: one process of a house does it
  };
  static constexpr std::size_t kConnections = 128;
  static constexpr std::size_t kHeadBytes = 16 * 1024;
  static constexpr std::size_t kBodyBytes = 64 * 1024;
  static constexpr Millis kMostWait{600'000};

  AdminServer(asio::io_context& io, Parts parts);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // `inherited`: the socket of a process before this one, if it is for the same address.
  Result<void> bind(ListeningSocket inherited);
  void start();
  Result<ListeningSocket> duplicate() const;  // for a process that comes after this one. Any thread
  void stop_accepting();
  void reload(SettingsPtr settings) { parts_.settings = std::move(settings); }
  void stop();  // closes everything; then let the loop run out
  Endpoint endpoint() const { return endpoint_; }

 private:
  friend class AdminConn;
  Awaitable<void> accepting();

  asio::io_context& io_;
  Parts parts_;
  SessionRoutes routes_;
  Acceptor acceptor_;
  Timer pause_;
  Endpoint endpoint_;
  std::unordered_set<AdminConn*> connections_;  // each in the frame of its coroutine
  bool stopping_ = false;
};

}  // namespace alcove
