// Pod: what the demo knows about itself and its visitor, and the texts that say so. No I/O.
// Called by main (from_environment) and server (the rest). Thread: the demo has one.
#pragma once

#include "base/endpoint.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace alcove::demo {

struct Pod {
  std::string session;     // "demo/ada"; empty: started by hand, without Alcove
  std::string generation;  // a number, as told
  Endpoint endpoint;
  int pid = 0;
  SteadyTime started;  // the process; a start delay counts
  WallTime since;      // the same moment by the wall clock
  std::uint64_t requests = 0;
};

struct Visit {
  std::string user;    // as told by Alcove, decoded; empty: nobody said
  std::string target;  // path and query asked for
};

// Reads ALCOVE_SESSION and ALCOVE_GENERATION.
Pod from_environment(const Endpoint& endpoint);

std::string greeting(const Pod& pod, const Visit& visit);  // one line for curl
std::string json(const Pod& pod, const Visit& visit);
std::string page(const Pod& pod, const Visit& visit);  // HTML
std::string tick(const Pod& pod);                      // JSON of one tick of the clock

}  // namespace alcove::demo
