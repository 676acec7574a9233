// Hold: the waiting room. An exchange whose session has no pod waits here until the store says that the pod
// is ready or that its start has failed, until its deadline, or until its client leaves. Step 6 of the way of
// a request. Called by exchange and by the waiting page's event stream; fed by resolver. Thread: the
// worker's. One room per session and worker: it asks the store once, whoever waits (the asking belongs to the
// room, so the first waiter's leaving harms nobody; it may start a pod once anyone in it may), and again
// whenever a push says that something has changed. A push is a reason to ask and never the answer: it comes
// by another way than the answers and may be older than they are, and a route taken from a late one could be
// of a pod whose drain this worker has acknowledged. Fails with (Seat::failure): RW start failed, with the
// reason; SL the store cannot be reached; AW over a cap.
#pragma once

#include "base/event.hpp"
#include "base/failure.hpp"
#include "proxy/rare.hpp"
#include "proxy/route_cache.hpp"
#include "store/store.hpp"

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace alcove::proxy {

// Caps on holds, in all and per user, for the whole process: shared by the workers, behind a mutex, since
// only requests that wait for a pod come here.
class HoldBudget {
 public:
  enum class Verdict : std::uint8_t { granted, too_many, too_many_for_user };
  Verdict enter(const std::string& user, std::uint32_t most, std::uint32_t most_per_user);
  void leave(const std::string& user);

 private:
  std::mutex mutex_;
  std::uint32_t all_ = 0;
  std::unordered_map<std::string, std::uint32_t> by_user_;
};

class WaitingRooms {
 public:
  WaitingRooms(Executor executor, Store& store, RouteCache& routes);
  ~WaitingRooms();

  struct Room;
  // One waiter's place. Leaves the room when destroyed; the room outlives it or not, either is fine.
  class Seat {
   public:
    Seat(WaitingRooms& rooms, AcquireRequest request);
    ~Seat();
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;

    // Returns when something has changed, at `until`, or when interrupted. Look at route() and failure()
    // before and after.
    Awaitable<void> wait(SteadyTime until);
    void interrupt() { event_.notify(); }
    RoutePtr route() const { return route_; }  // ready
    const Rare<Failure>& failure() const { return failure_; }
    bool not_woken() const { return not_woken_; }  // no pod runs, and none of the room may start one
    bool settled() const { return route_ != nullptr || failure_ || not_woken_; }
    SteadyTime ready_at() const { return ready_at_; }  // when this worker learnt it
    const Session& session() const;            // as last heard; state absent while the store is being asked
    const std::string& store_problem() const;  // not empty: the store does not answer, and why

   private:
    friend class WaitingRooms;
    WaitingRooms& rooms_;
    std::shared_ptr<Room> room_;
    std::list<Seat*>::iterator place_;
    Event event_;
    RoutePtr route_;
    Rare<Failure> failure_;
    bool not_woken_ = false;
    SteadyTime ready_at_{};
  };

  void on_transition(const Transition& transition);
  void on_gap();  // ask again for everybody
  void stop();    // no more asking; seats are settled as cancelled

 private:
  std::shared_ptr<Room> enter(AcquireRequest request);
  void ask(const std::shared_ptr<Room>& room);
  Awaitable<void> asking(std::shared_ptr<Room> room);
  void heard(const std::shared_ptr<Room>& room, const Session& session);
  void settle(const std::shared_ptr<Room>& room, RoutePtr route, std::optional<Failure> failure);
  void let_sleep(const std::shared_ptr<Room>& room);
  void close(const std::shared_ptr<Room>& room);

  Executor executor_;
  Store& store_;
  RouteCache& routes_;
  std::unordered_map<SessionKey, std::shared_ptr<Room>> rooms_;
  bool stopping_ = false;
};

// What a failed start is answered with.
Failure failed_start(const std::string& reason, WallTime retry_at);

}  // namespace alcove::proxy
