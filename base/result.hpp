// Result<T>: a value or an Error, for everything outside the data path's own Failure (failure.hpp).
// An Error's text is for people: it says what, where and, if it is known, what would be right.
#pragma once

#include <boost/system/result.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace alcove {

enum class Errc : std::uint8_t {
  invalid,      // the caller's input is wrong
  not_found,    // no such session, pod, app, file
  stale,        // about an older generation, or the state has moved on: nothing was changed
  busy,         // not now: a guard of the protocol holds it back, try again later
  unavailable,  // the other side cannot be reached: store, runtime, admin listener
  timeout,      // it was reached but did not answer in time
  denied,       // not allowed
  limit,        // a cap was met: holds, head size, connections
  failed,       // the start of a pod failed, the text is the reason
  cancelled,    // given up on purpose: shutting down, or the client has gone
  internal,     // a defect of ours
};

std::string_view name_of(Errc);

struct Error {
  Errc code = Errc::internal;
  std::string text;
};

template <class T>
using Result = boost::system::result<T, Error>;

// Found by boost::system::result when .value() is asked of an error.
[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::runtime_error(error.text);
}

}  // namespace alcove
