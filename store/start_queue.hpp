// StartQueue: sessions that wait for a provisioner, one queue per scope, and a ring of the scopes that have
// any. next() turns from one scope to the other, so that a scope with a thousand waiting starts delays the
// others by one. Called by: MemoryBackend (the Redis scripts keep the same with lists). Not thread-safe, no
// failure.
#pragma once

#include "store/session.hpp"
#include "store/store.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>

namespace alcove {

class StartQueue {
 public:
  void push(const SessionKey& key);
  void remove(const SessionKey& key);  // fine if it is not there; found at once if it was next
  std::optional<SessionKey> next();    // whose turn it is; who starts it removes it
  QueuePlace place(const SessionKey& key) const;

 private:
  void drop_if_empty(const std::string& scope);

  std::map<std::string, std::deque<SessionKey>, std::less<>> scopes_;  // none empty
  std::deque<std::string> ring_;                                       // each scope of scopes_ once
};

}  // namespace alcove
