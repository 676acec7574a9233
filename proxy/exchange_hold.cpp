// Exchange, step 6: the pod is not known to be ready.
#include "base/text.hpp"
#include "proxy/exchange.hpp"
#include "proxy/pages.hpp"

namespace alcove::proxy {
namespace {

SessionPolicy policy_of(const AppSettings& app) {
  return {app.idle_timeout, app.max_lifetime, app.drain_grace, app.stop_grace};
}

}  // namespace

// A polling path is no sign of a user: it uses the pod that runs, but neither rescues nor starts one.
Awaitable<void> Exchange::find_quietly() {
  if (key_.empty()) {
    failure_ = Failure{Side::alcove, Phase::lookup, 503, "the pod is not reachable now", 5};
    co_return;
  }
  auto session = co_await worker_.store->lookup(key_);
  if (!session) {
    failure_ = Failure{Side::store, Phase::lookup, 503, session.error().text, 5};
  } else if (session->state != State::ready) {
    failure_ = Failure{Side::alcove, Phase::lookup, 503, "no pod runs, and this path does not start one", 5};
  } else {
    source_ = "store";
    use_route(worker_.routes.insert(*session));
  }
}

// Step 6. Waits for the pod: until it is ready (route_), its start has failed, the deadline, or the client
// leaves (failure_); neither: it is time to show a browser the waiting page. Thousands wait here at once, so
// what comes before and after the wait is not in this frame.
Awaitable<void> Exchange::hold() {
  if (!enter_hold()) co_return;
  const SteadyTime entered = SteadyClock::now();
  const SteadyTime page_at = facts_.html ? began_ + app_->waiting_page_after : SteadyTime::max();
  {
    WaitingRooms::Seat seat(worker_.rooms,
                            {key_, app_->name, user_, policy_of(*app_), facts_.sleep == Sleep::none});
    conn_.set_seat(&seat);
    conn_.watch_client(true);
    bool show_page = false;
    while (!seat.settled() && !conn_.gone()) {
      const SteadyTime now = SteadyClock::now();
      show_page = now >= page_at;
      if (show_page || now >= hold_until_) break;
      co_await seat.wait(std::min(hold_until_, page_at));
    }
    conn_.set_seat(nullptr);
    take_outcome(seat, show_page);
  }
  leave_hold(entered);
}

bool Exchange::enter_hold() {
  const LimitSettings& limits = settings_->limits;
  const auto verdict = worker_.shared.holds.enter(user_, limits.holds, limits.holds_per_user);
  if (verdict == HoldBudget::Verdict::granted) {
    worker_.metrics.holds_now.add();
    conn_.in.release_if_empty();
    conn_.unlimited();  // the seat has a deadline of its own
    return true;
  }
  worker_.metrics.holds[static_cast<std::size_t>(HoldOutcome::refused)].add();
  const bool mine = verdict == HoldBudget::Verdict::too_many_for_user;
  failure_ = Failure{
      mine ? Limit::holds_per_user : Limit::holds,
      Side::alcove,
      Phase::hold,
      503,
      mine ? "too many of your requests are waiting for a pod" : "too many requests are waiting for pods",
      2};
  return false;
}

void Exchange::take_outcome(WaitingRooms::Seat& seat, bool show_page) {
  if (seat.route() != nullptr) {
    use_route(seat.route());
    ready_at_ = seat.ready_at();
  } else if (seat.failure()) {
    failure_ = *seat.failure();
  } else if (seat.not_woken()) {
    failure_ = not_woken(facts_.sleep);
    worker_.metrics.not_woken[static_cast<std::size_t>(facts_.sleep)].add();
  } else if (conn_.gone()) {
    failure_ = Failure{Side::client, Phase::hold, 0, "the client has left", 0};
  } else if (!show_page && (!seat.store_problem().empty() || seat.session().state == State::absent)) {
    // Absent is what nobody has been told otherwise: the store has said nothing at all.
    const std::string& problem = seat.store_problem();
    failure_ = Failure{Side::store, Phase::lookup, 503,
                       "the store cannot be reached: " + (problem.empty() ? "no answer yet" : problem), 5};
  } else if (!show_page) {
    failure_ = Failure{Limit::hold_timeout,
                       Side::runtime,
                       Phase::hold,
                       504,
                       "the pod is still " + std::string(name_of(seat.session().state)) +
                           "; it did not become ready in time",
                       0};
  }
}

void Exchange::leave_hold(SteadyTime entered) {
  WorkerMetrics& metrics = worker_.metrics;
  const SteadyClock::duration held = SteadyClock::now() - entered;
  metrics.holds_now.sub();
  worker_.shared.holds.leave(user_);
  metrics.hold_time.observe(held);
  hold_us_ = std::max<std::int64_t>(hold_us_, 0) + to_micros(held);
  HoldOutcome outcome = HoldOutcome::waiting_page;
  if (route_ != nullptr) {
    outcome = HoldOutcome::served;
    // An answer within a round trip was a lookup, not a wait.
    source_ = hold_us_ < 20'000 ? "store" : "hold";
    from_hold_ = true;
  } else if (failure_) {
    outcome = failure_->side == Side::client ? HoldOutcome::client_gone
              : failure_->status == 504      ? HoldOutcome::expired
              : failure_->status == 424      ? HoldOutcome::not_woken
                                             : HoldOutcome::failed;
  }
  metrics.holds[static_cast<std::size_t>(outcome)].add();
}

Awaitable<Exchange::After> Exchange::show_waiting_page() {
  Page page = waiting_page(app_->name, user_, "/.alcove/wait?session=" + percent_encode(key_.text()));
  source_ = "hold";
  Reply waiting{202,
                "text/html; charset=utf-8",
                std::move(page.html),
                {{"Content-Security-Policy", std::move(page.csp)}},
                nullptr,
                false};
  const After after = co_await reply(std::move(waiting));
  log();
  co_return after;
}

}  // namespace alcove::proxy
