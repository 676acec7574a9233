// Listeners: asks the kernel whether anybody listens at an endpoint of this machine, as ss(8) does. No
// connection is made, so whoever listens sees nothing of it. Called by: local owner, for its readiness
// checks. Thread: one. Does not block: the kernel answers inside the call, but for open(), which may make it
// load a module. Source: sock_diag(7).
#pragma once

#include "base/endpoint.hpp"

#include <cstdint>
#include <memory>

namespace alcove {

class Listeners {
 public:
  // Null where the kernel does not tell, as in some sandboxes: tried with a socket of our own.
  static std::unique_ptr<Listeners> open();
  ~Listeners();
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  // IPv4, in this network namespace; who listens on all addresses counts. False also when the kernel could
  // not be asked this once. What redirects connections (DNAT, BPF) needs no listener: then a connection tells
  // more.
  bool has(const Endpoint& endpoint);

 private:
  explicit Listeners(int socket) : socket_(socket) {}
  int socket_;
  std::uint32_t questions_ = 0;
};

}  // namespace alcove
