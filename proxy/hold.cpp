#include "proxy/hold.hpp"

#include "base/backoff.hpp"
#include "base/log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <random>

namespace alcove::proxy {

HoldBudget::Verdict HoldBudget::enter(const std::string& user, std::uint32_t most,
                                      std::uint32_t most_per_user) {
  const std::lock_guard lock(mutex_);
  if (all_ >= most) return Verdict::too_many;
  std::uint32_t& mine = by_user_[user];
  if (mine >= most_per_user) return Verdict::too_many_for_user;
  ++mine;
  ++all_;
  return Verdict::granted;
}

void HoldBudget::leave(const std::string& user) {
  const std::lock_guard lock(mutex_);
  const auto found = by_user_.find(user);
  if (found == by_user_.end()) return;
  --all_;
  if (--found->second == 0) by_user_.erase(found);
}

struct WaitingRooms::Room {
  Room(AcquireRequest r, Executor executor) : request(std::move(r)), retry(executor) {
    session.key = request.key;
  }

  AcquireRequest request;
  Session session;  // as last heard
  std::list<Seat*> seats;
  std::string store_problem;
  Event retry;  // wakes the pause between two tries to reach the store
  bool asking = false;
  bool ask_again = false;  // a gap, or the session went away, while the answer was on its way
  bool closed = false;     // settled: nobody enters any more
};

Failure failed_start(const std::string& reason, WallTime retry_at) {
  const auto left = std::chrono::ceil<std::chrono::seconds>(retry_at - wall_now()).count();
  return {Side::runtime, Phase::hold, 503, reason, static_cast<int>(std::clamp<std::int64_t>(left, 1, 3600))};
}

WaitingRooms::WaitingRooms(Executor executor, Store& store, RouteCache& routes)
    : executor_(executor), store_(store), routes_(routes) {}
WaitingRooms::~WaitingRooms() = default;

WaitingRooms::Seat::Seat(WaitingRooms& rooms, AcquireRequest request)
    : room_(rooms.enter(std::move(request))), event_(rooms.executor_) {
  place_ = room_->seats.insert(room_->seats.end(), this);
  if (rooms.stopping_)
    failure_ = Failure{Side::alcove, Phase::hold, 503, "this gateway is shutting down", 1};
  else
    rooms.ask(room_);
}

WaitingRooms::Seat::~Seat() {
  room_->seats.erase(place_);
  if (room_->seats.empty()) room_->retry.notify();
}

Awaitable<void> WaitingRooms::Seat::wait(SteadyTime until) {
  if (!settled()) co_await event_.wait_until(until);
}

const Session& WaitingRooms::Seat::session() const {
  return room_->session;
}
const std::string& WaitingRooms::Seat::store_problem() const {
  return room_->store_problem;
}

std::shared_ptr<WaitingRooms::Room> WaitingRooms::enter(AcquireRequest request) {
  std::shared_ptr<Room>& room = rooms_[request.key];
  if (room == nullptr || room->closed) room = std::make_shared<Room>(std::move(request), executor_);
  return room;
}

void WaitingRooms::ask(const std::shared_ptr<Room>& room) {
  if (room->asking || room->session.state != State::absent) return;
  room->asking = true;
  asio::co_spawn(executor_, asking(room), asio::detached);
}

// Asks until the store has answered or nobody waits any more. What the session does after that comes by push.
Awaitable<void> WaitingRooms::asking(std::shared_ptr<Room> room) {
  Backoff backoff(Millis{50}, Millis{2'000});
  std::minstd_rand random(static_cast<unsigned>(SteadyClock::now().time_since_epoch().count()));
  while (!room->closed && !stopping_ && !room->seats.empty()) {
    room->ask_again = false;
    AcquireRequest request = room->request;
    auto session = co_await store_.acquire(std::move(request));
    if (room->closed || stopping_) break;
    if (session) {
      room->store_problem.clear();
      backoff.reset();
      if (room->ask_again) continue;
      heard(room, *session);
      if (room->session.state != State::absent) break;
      continue;
    }
    room->store_problem = session.error().text;
    if (session.error().code == Errc::invalid || session.error().code == Errc::internal) {
      settle(room, nullptr, Failure{Side::store, Phase::lookup, 500, session.error().text, 0});
      break;
    }
    co_await room->retry.wait_until(SteadyClock::now() + backoff.next(random));
  }
  room->asking = false;
  if (room->seats.empty() && !room->closed) {
    room->closed = true;
    const auto found = rooms_.find(room->request.key);
    if (found != rooms_.end() && found->second == room) rooms_.erase(found);
  }
}

void WaitingRooms::heard(const std::shared_ptr<Room>& room, const Session& session) {
  // A push may have overtaken the answer: an older generation is no news.
  if (session.generation < room->session.generation) return;
  room->session = session;
  switch (session.state) {
    case State::ready:
      settle(room, routes_.insert(session.key, session.generation, session.endpoint, session.pod_uid), {});
      break;
    case State::failed:
      settle(room, nullptr, failed_start(session.reason, session.retry_at));
      break;
    default:
      for (Seat* seat : room->seats) seat->event_.notify();
  }
}

void WaitingRooms::settle(const std::shared_ptr<Room>& room, RoutePtr route, std::optional<Failure> failure) {
  room->closed = true;
  const auto found = rooms_.find(room->request.key);
  if (found != rooms_.end() && found->second == room) rooms_.erase(found);
  const SteadyTime now = SteadyClock::now();
  for (Seat* seat : room->seats) {
    seat->route_ = route;
    seat->failure_ = failure;
    seat->ready_at_ = now;
    seat->event_.notify();
  }
}

void WaitingRooms::on_transition(const Transition& transition, const RoutePtr& route) {
  const auto found = rooms_.find(transition.key);
  if (found == rooms_.end()) return;
  const std::shared_ptr<Room> room = found->second;
  if (transition.generation < room->session.generation) return;
  switch (transition.state) {
    case State::ready:
      settle(room, route, {});
      return;
    case State::failed:
      settle(room, nullptr, failed_start(transition.reason, wall_now()));
      return;
    case State::absent:
      if (transition.cause == EndCause::deleted) {
        settle(room, nullptr,
               Failure{Side::alcove, Phase::hold, 503, "the session was stopped while it was starting", 1});
        return;
      }
      // Gone before it was ready, and somebody waits: ask for the next generation.
      room->session = Session{};
      room->session.key = transition.key;
      room->ask_again = true;
      ask(room);
      return;
    default:
      room->session.state = transition.state;
      room->session.generation = transition.generation;
      for (Seat* seat : room->seats) seat->event_.notify();
  }
}

void WaitingRooms::on_gap() {
  for (auto& entry : rooms_) {
    Room& room = *entry.second;
    room.session.state = State::absent;
    room.ask_again = true;
    room.retry.notify();
    ask(entry.second);
  }
}

void WaitingRooms::stop() {
  stopping_ = true;
  const auto rooms = std::move(rooms_);
  rooms_.clear();
  for (const auto& entry : rooms) {
    settle(entry.second, nullptr,
           Failure{Side::alcove, Phase::hold, 503, "this gateway is shutting down", 1});
    entry.second->retry.notify();
  }
}

}  // namespace alcove::proxy
