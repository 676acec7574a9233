// SessionRoutes: what can be asked of sessions: list, show, start, stop, keep. One call is one request.
// Called by: admin_conn. Calls: the store. Thread: the admin listener's. Owns: nothing. Fails with: a Reply
// that is a problem.
#pragma once

#include "api/reply.hpp"
#include "base/net.hpp"
#include "config/settings.hpp"
#include "store/store.hpp"

#include <array>
#include <string>
#include <unordered_set>
#include <vector>

namespace alcove {

class SessionRoutes {
 public:
  SessionRoutes(Executor executor, Store& store);
  ~SessionRoutes();
  SessionRoutes(const SessionRoutes&) = delete;
  SessionRoutes& operator=(const SessionRoutes&) = delete;

  Awaitable<Reply> list(std::string scope);  // empty: all
  Awaitable<Reply> show(SessionKey key);
  // `body`: {"user": "..."}; without it the user is the name. Answers 200 when ready, else 202 after `wait`.
  Awaitable<Reply> start(SettingsPtr settings, SessionKey key, std::string body, Millis wait);
  // `body`: {"pinned": true}, {"busy_for": "30m"} or both: the session is not idle for ever, or for so long.
  Awaitable<Reply> keep(SessionKey key, std::string body);
  // 200: its pod is gone; 202: it is on its way.
  Awaitable<Reply> stop(SessionKey key, Millis wait);
  // How many sessions are in each state, by the number of State.
  Awaitable<Result<std::array<std::uint64_t, 7>>> count();

  void end();  // of all calls that wait

 private:
  class Watch;
  Awaitable<Result<std::vector<Session>>> all();
  Awaitable<Reply> record(int status, Session session);

  Executor executor_;
  Store& store_;
  std::unordered_set<Watch*> watches_;  // each in the frame of its call
  bool ended_ = false;
};

}  // namespace alcove
