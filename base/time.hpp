// Time words. Durations that people set are milliseconds; moments inside a process are steady; moments that
// are stored or shown are wall clock, and come from the store's clock so that hosts need not agree.
#pragma once

#include <chrono>
#include <cstdint>

namespace alcove {

using Millis = std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;
using WallTime = std::chrono::sys_time<Millis>;  // zero: never / not set

inline WallTime wall_now() {
  return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}
inline std::int64_t to_unix_ms(WallTime t) {
  return t.time_since_epoch().count();
}
inline std::int64_t to_micros(SteadyClock::duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}
inline WallTime from_unix_ms(std::int64_t ms) {
  return WallTime{Millis{ms}};
}

}  // namespace alcove
