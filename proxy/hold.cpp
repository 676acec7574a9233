#include "proxy/hold.hpp"

#include "base/backoff.hpp"
#include "base/log.hpp"

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
  Session session;  // as last heard from the store
  std::list<Seat*> seats;
  std::string store_problem;
  Event retry;            // wakes the pause between two tries to reach the store
  bool answered = false;  // the store's answer stands until a push
  bool asking = false;
  bool ask_again = false;  // a push came while the answer was on its way: nobody knows which is younger
  bool closed = false;     // settled or left by all: nobody enters any more
};

Failure failed_start(const std::string& reason, WallTime retry_at) {
  const auto left = std::chrono::ceil<std::chrono::seconds>(retry_at - wall_now()).count();
  return {Side::runtime, Phase::hold, 503, reason, static_cast<int>(std::clamp<std::int64_t>(left, 1, 3600))};
}

WaitingRooms::WaitingRooms(Executor executor, Store& store, RouteCache& routes)
    : executor_(executor), store_(store), routes_(routes) {}
WaitingRooms::~WaitingRooms() = default;

WaitingRooms::Seat::Seat(WaitingRooms& rooms, AcquireRequest request)
    : rooms_(rooms), room_(rooms.enter(std::move(request))), event_(rooms.executor_) {
  place_ = room_->seats.insert(room_->seats.end(), this);
  if (rooms_.stopping_)
    failure_ = Failure{Side::alcove, Phase::hold, 503, "this gateway is shutting down", 1};
  else if (!room_->answered)
    rooms_.ask(room_);
}

WaitingRooms::Seat::~Seat() {
  room_->seats.erase(place_);
  if (!room_->seats.empty()) return;
  rooms_.close(room_);
  room_->retry.notify();
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
  if (room == nullptr || room->closed) {
    room = std::make_shared<Room>(std::move(request), executor_);
  } else if (request.may_start && !room->request.may_start) {
    room->request.may_start = true;
    room->answered = false;
  }
  return room;
}

void WaitingRooms::close(const std::shared_ptr<Room>& room) {
  room->closed = true;
  const auto found = rooms_.find(room->request.key);
  if (found != rooms_.end() && found->second == room) rooms_.erase(found);
}

void WaitingRooms::ask(const std::shared_ptr<Room>& room) {
  room->answered = false;
  room->ask_again = room->asking;
  if (room->asking) return;
  room->asking = true;
  launch(executor_, asking(room));
}

// Asks until the store has answered and nothing has been heard meanwhile, or nobody waits any more.
Awaitable<void> WaitingRooms::asking(std::shared_ptr<Room> room) {
  Backoff backoff(Millis{50}, Millis{2'000});
  std::minstd_rand random(static_cast<unsigned>(SteadyClock::now().time_since_epoch().count()));
  while (!room->closed && !stopping_) {
    room->ask_again = false;
    AcquireRequest request = room->request;
    auto session = co_await store_.acquire(std::move(request));
    if (room->closed || stopping_) break;
    if (session) {
      room->store_problem.clear();
      backoff.reset();
      if (room->ask_again) continue;
      room->answered = true;
      heard(room, *session);
      break;
    }
    room->store_problem = session.error().text;
    if (session.error().code == Errc::invalid || session.error().code == Errc::internal) {
      settle(room, nullptr, Failure{Side::store, Phase::lookup, 500, session.error().text, 0});
      break;
    }
    co_await room->retry.wait_until(SteadyClock::now() + backoff.next(random));
  }
  room->asking = false;
}

void WaitingRooms::heard(const std::shared_ptr<Room>& room, const Session& session) {
  room->session = session;
  const bool ends = session.state == State::stopping ||
                    (session.state == State::draining && session.cause != EndCause::idle);
  if (session.state == State::absent || (ends && !session.wanted)) {
    let_sleep(room);
    return;
  }
  switch (session.state) {
    case State::ready: {
      RoutePtr route = routes_.insert(session);
      settle(room, std::move(route), {});
      break;
    }
    case State::failed:
      settle(room, nullptr, failed_start(session.reason, session.retry_at));
      break;
    default:
      for (Seat* seat : room->seats) seat->event_.notify();
  }
}

void WaitingRooms::let_sleep(const std::shared_ptr<Room>& room) {
  close(room);
  for (Seat* seat : room->seats) {
    seat->not_woken_ = true;
    seat->event_.notify();
  }
}

void WaitingRooms::settle(const std::shared_ptr<Room>& room, RoutePtr route, std::optional<Failure> failure) {
  close(room);
  const SteadyTime now = SteadyClock::now();
  for (Seat* seat : room->seats) {
    seat->route_ = route;
    seat->failure_ = failure;
    seat->ready_at_ = now;
    seat->event_.notify();
  }
}

void WaitingRooms::on_transition(const Transition& transition) {
  const auto found = rooms_.find(transition.key);
  if (found == rooms_.end()) return;
  const std::shared_ptr<Room> room = found->second;
  if (room->answered && transition.generation == room->session.generation) {
    const bool was_starting = room->session.state == State::pending || room->session.state == State::starting;
    if (was_starting && transition.state == State::starting) {
      room->session.state = State::starting;
      for (Seat* seat : room->seats) seat->event_.notify();
      return;
    }
    // Asking now would start it again at once, against the will of who stopped it.
    if (was_starting && transition.cause == EndCause::deleted) {
      settle(room, nullptr,
             Failure{Side::alcove, Phase::hold, 503, "the session was stopped while it was starting", 1});
      return;
    }
  }
  // Our own acquire is pushed to us too; what it did is in its answer.
  if (room->answered && transition.generation <= room->session.generation &&
      transition.state == State::pending)
    return;
  ask(room);
}

void WaitingRooms::on_gap() {
  // Asking may settle a room, which takes it out of the map.
  std::vector<std::shared_ptr<Room>> all;
  all.reserve(rooms_.size());
  for (const auto& entry : rooms_) all.push_back(entry.second);
  for (const std::shared_ptr<Room>& room : all) {
    room->retry.notify();
    ask(room);
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
