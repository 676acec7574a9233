// Backoff: how long to wait before the next try: doubling from `first` to `most`, with full jitter above a
// half so that many who failed together do not come back together. Not thread-safe; pure but for the random
// source given.
#pragma once

#include "base/time.hpp"

#include <algorithm>
#include <random>

namespace alcove {

// The doubling alone, for delays that are shown to people: failures = 1 gives `first`.
inline Millis backoff_delay(Millis first, Millis most, unsigned failures) {
  Millis delay = first;
  for (unsigned i = 1; i < failures && delay < most && delay > Millis{0}; ++i)
    delay = delay > most / 2 ? most : delay * 2;
  return std::min(delay, most);
}

class Backoff {
 public:
  Backoff(Millis first, Millis most) : first_(first), most_(most) {}

  template <class Random>
  Millis next(Random& random) {
    const Millis delay = backoff_delay(first_, most_, ++failures_);
    std::uniform_int_distribution<Millis::rep> jitter(delay.count() / 2, delay.count());
    return Millis{jitter(random)};
  }
  void reset() { failures_ = 0; }
  unsigned failures() const { return failures_; }

 private:
  Millis first_;
  Millis most_;
  unsigned failures_ = 0;
};

}  // namespace alcove
