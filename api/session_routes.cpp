#include "api/session_routes.hpp"

#include "api/session_view.hpp"
#include "base/event.hpp"
#include "base/text.hpp"
#include "config/units.hpp"
#include "store/policy.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace alcove {
namespace {

constexpr std::uint32_t kPage = 500;
constexpr Millis kMostBusy{365LL * 24 * 3'600'000};
constexpr int kTries = 8;  // each time the session has moved on between our look and our step

Result<std::string> user_of(const std::string& body, const SessionKey& key) {
  if (trim(body).empty()) return std::string(key.name());
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  const bool named = json.is_object() && json.contains("user") && json["user"].is_string();
  if (!named) return Error{Errc::invalid, R"(the body must be JSON such as {"user": "ada"})"};
  std::string user = json["user"].get<std::string>();
  const auto name = session_name(user);
  if (!name) return name.error();
  if (*name != key.name())
    return Error{Errc::invalid, "the session of \"" + printable(user, 80) + "\" is " +
                                    std::string(key.scope()) + "/" + *name};
  return user;
}

struct Keep {
  std::optional<bool> pinned;
  std::optional<Millis> busy_for;
};

Result<Keep> keep_of(const std::string& body) {
  const Error wrong{Errc::invalid,
                    R"(the body must be JSON such as {"pinned": true} or {"busy_for": "30m"})"};
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object() || json.empty()) return wrong;
  Keep out;
  for (const auto& [name, value] : json.items()) {
    if (name == "pinned" && value.is_boolean()) {
      out.pinned = value.get<bool>();
    } else if (name == "busy_for" && value.is_string()) {
      const auto time = parse_duration(value.get<std::string>());
      if (!time) return Error{Errc::invalid, "busy_for must be a duration such as 30m or 12h"};
      if (*time > kMostBusy)
        return Error{Errc::invalid, "busy_for: at most 365d; to keep it for good, pin it"};
      out.busy_for = *time;
    } else {
      return wrong;
    }
  }
  return out;
}

Error no_such_app(const Settings& settings, std::string_view name) {
  std::string text = "there is no app " + std::string(name) + "; there are:";
  for (const AppSettings& app : settings.apps) text += " " + app.name;
  return {Errc::not_found, text};
}

Error no_session(const SessionKey& key) {
  return {Errc::not_found, key.text() + " has no pod"};
}

}  // namespace

// A call that waits for one session to move on: from its making on no step is missed, also not one that is
// pushed while the call asks the store. Only such calls subscribe: the memory store does not wake this thread
// when there is none.
class SessionRoutes::Watch : public Subscriber {
 public:
  Watch(SessionRoutes& routes, const SessionKey& key) : routes_(routes), key_(key), event_(routes.executor_) {
    routes_.watches_.insert(this);
    routes_.store_.subscribe(this);
  }
  ~Watch() override {
    routes_.store_.unsubscribe(this);
    routes_.watches_.erase(this);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Since the last call of this, or from now on. False: the deadline or the end came first.
  Awaitable<bool> change(SteadyTime deadline) {
    while (!changed_ && !routes_.ended_ && SteadyClock::now() < deadline)
      co_await event_.wait_until(deadline);
    co_return std::exchange(changed_, false) && !routes_.ended_ && SteadyClock::now() < deadline;
  }
  void end() { event_.notify(); }

  void on_transition(const Transition& transition) override {
    if (transition.key == key_) on_gap();
  }
  void on_gap() override {
    changed_ = true;
    event_.notify();
  }

 private:
  SessionRoutes& routes_;
  const SessionKey& key_;
  Event event_;
  bool changed_ = false;
};

SessionRoutes::SessionRoutes(Executor executor, Store& store) : executor_(executor), store_(store) {}

SessionRoutes::~SessionRoutes() = default;

Awaitable<Result<std::vector<Session>>> SessionRoutes::all() {
  std::vector<Session> out;
  std::string cursor;
  do {
    Result<Store::Page> page = co_await store_.list(cursor, kPage);
    if (!page) co_return page.error();
    std::move(page->sessions.begin(), page->sessions.end(), std::back_inserter(out));
    cursor = page->cursor;
  } while (!cursor.empty());
  // A store may show a session that moves on while we page more than once.
  std::sort(out.begin(), out.end(), [](const Session& a, const Session& b) { return a.key < b.key; });
  out.erase(
      std::unique(out.begin(), out.end(), [](const Session& a, const Session& b) { return a.key == b.key; }),
      out.end());
  co_return out;
}

Awaitable<Reply> SessionRoutes::list(std::string scope) {
  const Result<std::vector<Session>> sessions = co_await all();
  if (!sessions) co_return problem(sessions.error());
  const WallTime now = wall_now();
  nlohmann::json out = nlohmann::json::array();
  for (const Session& session : *sessions)
    if (scope.empty() || session.key.scope() == scope) out.push_back(to_json(session, {}, now));
  nlohmann::json body{{"sessions", std::move(out)}};
  co_return json_reply(200, body);
}

Awaitable<Reply> SessionRoutes::record(int status, Session session) {
  QueuePlace place;
  if (session.state == State::pending) {
    const Result<QueuePlace> asked = co_await store_.place(session.key);
    if (asked) place = *asked;
  }
  const nlohmann::json body = to_json(session, place, wall_now());
  co_return json_reply(status, body);
}

Awaitable<Reply> SessionRoutes::show(SessionKey key) {
  const Result<Session> session = co_await store_.lookup(key);
  if (!session) co_return problem(session.error());
  if (session->state == State::absent && session->generation == 0) co_return problem(no_session(key));
  co_return co_await record(200, *session);
}

Awaitable<Reply> SessionRoutes::start(SettingsPtr settings, SessionKey key, std::string body, Millis wait) {
  const AppSettings* app = settings->find_app(key.scope());
  if (app == nullptr) co_return problem(no_such_app(*settings, key.scope()));
  const Result<std::string> user = user_of(body, key);
  if (!user) co_return problem(user.error());

  const SteadyTime deadline = SteadyClock::now() + wait;
  Watch watch(*this, key);
  AcquireRequest request{key, app->name, *user, policy_of(*app)};
  Result<Session> session = co_await store_.acquire(request);
  while (session && session->state != State::ready && session->state != State::failed &&
         session->state != State::absent) {
    const bool changed = co_await watch.change(deadline);
    session = co_await store_.lookup(key);
    if (!changed) break;
  }
  if (!session) co_return problem(session.error());
  co_return co_await record(session->state == State::ready ? 200 : 202, *session);
}

Awaitable<Reply> SessionRoutes::keep(SessionKey key, std::string body) {
  const Result<Keep> wanted = keep_of(body);
  if (!wanted) co_return problem(wanted.error());
  Result<Session> session = Error{};
  if (wanted->pinned) session = co_await store_.pin(key, *wanted->pinned);
  if (wanted->busy_for && (session || !wanted->pinned))
    session = co_await store_.busy(key, *wanted->busy_for);
  if (!session) co_return problem(session.error());
  co_return co_await record(200, *session);
}

Awaitable<Reply> SessionRoutes::stop(SessionKey key, Millis wait) {
  const SteadyTime deadline = SteadyClock::now() + wait;
  Watch watch(*this, key);
  Result<Session> session = co_await store_.lookup(key);
  if (!session) co_return problem(session.error());
  if (session->state == State::absent) co_return problem(no_session(key));
  const Generation generation = session->generation;
  for (int i = 0; i < kTries; ++i) {
    const bool ending = session->state == State::stopping || session->state == State::absent ||
                        (session->state == State::draining && session->cause != EndCause::idle);
    if (ending || session->generation != generation) break;
    const Result<Session> drained = co_await store_.drain(key, generation, EndCause::deleted);
    if (!drained && drained.error().code != Errc::stale) co_return problem(drained.error());
    session = co_await store_.lookup(key);
    if (!session) co_return problem(session.error());
  }
  const auto over = [generation](const Session& now) {
    return now.state == State::absent || now.generation != generation;
  };
  while (!over(*session)) {
    const bool changed = co_await watch.change(deadline);
    session = co_await store_.lookup(key);
    if (!session) co_return problem(session.error());
    if (!changed) break;
  }
  const int status = over(*session) ? 200 : 202;
  co_return co_await record(status, *session);
}

Awaitable<Result<std::array<std::uint64_t, 7>>> SessionRoutes::count() {
  const Result<std::vector<Session>> sessions = co_await all();
  if (!sessions) co_return sessions.error();
  std::array<std::uint64_t, 7> out{};
  for (const Session& session : *sessions) ++out.at(static_cast<std::size_t>(session.state));
  co_return out;
}

void SessionRoutes::end() {
  ended_ = true;
  for (Watch* watch : watches_) watch->end();
}

}  // namespace alcove
