// A failure on the way of a request has a side and a phase: two letters ("PD": the pod failed while being
// dialled) that are the same in the access log, the metric label, the error body and the test's name. First
// failure wins.
// "--" is an exchange without failure.
#pragma once

#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace alcove {

enum class Side : char { client = 'C', pod = 'P', store = 'S', runtime = 'R', alcove = 'A' };
enum class Phase : char {
  head = 'H',      // reading and checking the request head, identity, route
  lookup = 'L',    // asking the store
  hold = 'W',      // waiting for the pod
  dial = 'D',      // connecting to the pod
  response = 'R',  // sending the request head, waiting for the response head
  body = 'B',      // either body
  tunnel = 'T',    // after 101
};

// The limit that was met, if it was one: named as the key of the configuration that sets it, in the error
// body and in the metric.
enum class Limit : std::uint8_t {
  none,
  connections,
  connections_per_address,
  requests_per_connection,
  head_bytes,
  head_fields,
  head,  // the time for it
  body_limit,
  body_rate,
  body_idle,
  response_timeout,
  holds,
  holds_per_user,
  hold_timeout,
  tunnel_idle,
  drain,
  count_
};

struct Failure {
  Failure() = default;
  // A constructor on purpose: GCC 12 destroys an aggregate that is made within a co_await expression twice.
  Failure(Side its_side, Phase its_phase, int its_status, std::string its_text, int retry_s = 0)
      : side(its_side),
        phase(its_phase),
        status(its_status),
        text(std::move(its_text)),
        retry_after_s(retry_s) {}
  Failure(Limit its_limit, Side its_side, Phase its_phase, int its_status, std::string its_text,
          int retry_s = 0)
      : Failure(its_side, its_phase, its_status, std::move(its_text), retry_s) {
    limit = its_limit;
  }

  Side side = Side::alcove;
  Phase phase = Phase::head;
  int status = 0;         // HTTP status to answer with, 0: nothing can be answered any more, close
  std::string text;       // for people: goes into the error body and the log
  int retry_after_s = 0;  // Retry-After in seconds, 0: none
  Limit limit = Limit::none;
};

// "PD" and so on. Points into the array that the caller keeps.
inline std::array<char, 2> end_code(const Failure& f) {
  return {static_cast<char>(f.side), static_cast<char>(f.phase)};
}

std::string_view name_of(Side);
std::string_view name_of(Phase);
std::string_view name_of(Limit);

}  // namespace alcove
