// Tick list: when the worker's tick has to look at each connection. A dense table, so that a tick reads
// sixteen bytes of a connection that rests and nothing of the connection itself: a hundred thousand idle
// WebSockets cost one scan of 1.6 MB. Used by worker (the ticks) and client_conn (the moments). Thread: the
// worker's. Owns nothing.
#pragma once

#include "base/time.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace alcove::proxy {

constexpr SteadyTime kNextTick = SteadyTime::min();

// `Who` has:
//   SteadyTime on_tick(SteadyTime now);  a moment that it asked for has come. Answers the next one; what is
//                                        asked for meanwhile is overwritten
//   std::uint32_t tick_place;            the list's: it moves when another leaves
template <class Who>
class TickList {
 public:
  void enter(Who& who) {
    who.tick_place = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back({SteadyTime::max(), &who});
  }
  void leave(const Who& who) {
    entries_[who.tick_place] = entries_.back();
    entries_[who.tick_place].who->tick_place = who.tick_place;
    entries_.pop_back();
  }
  // To be looked at by the first tick at or after `moment`. Only ever sooner: to be looked at in vain is
  // cheaper than to keep later moments.
  void by(const Who& who, SteadyTime moment) {
    SteadyTime& due = entries_[who.tick_place].due;
    due = std::min(due, moment);
  }
  // Nobody may enter or leave meanwhile.
  void tick(SteadyTime now) {
    for (Entry& entry : entries_)
      if (entry.due <= now) entry.due = entry.who->on_tick(now);
  }
  // The same holds.
  template <class Visit>
  void for_each(Visit visit) {
    for (const Entry& entry : entries_) visit(*entry.who);
  }

 private:
  struct Entry {
    SteadyTime due;
    Who* who;
  };
  std::vector<Entry> entries_;
};

}  // namespace alcove::proxy
