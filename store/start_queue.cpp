#include "store/start_queue.hpp"

#include <algorithm>

namespace alcove {

void StartQueue::push(const SessionKey& key) {
  std::string scope(key.scope());
  auto& queue = scopes_[scope];
  queue.push_back(key);
  if (queue.size() == 1) ring_.push_back(std::move(scope));
}

void StartQueue::remove(const SessionKey& key) {
  const auto scope = scopes_.find(key.scope());
  if (scope == scopes_.end()) return;
  const auto found = std::find(scope->second.begin(), scope->second.end(), key);
  if (found != scope->second.end()) scope->second.erase(found);
  drop_if_empty(scope->first);
}

std::optional<SessionKey> StartQueue::next() {
  if (ring_.empty()) return std::nullopt;
  ring_.push_back(std::move(ring_.front()));
  ring_.pop_front();
  return scopes_.find(ring_.back())->second.front();
}

QueuePlace StartQueue::place(const SessionKey& key) const {
  QueuePlace result;
  for (const auto& [scope, queue] : scopes_) result.queued += queue.size();
  const auto own = scopes_.find(key.scope());
  if (own == scopes_.end()) return result;
  const auto found = std::find(own->second.begin(), own->second.end(), key);
  if (found == own->second.end()) return result;
  const auto position = static_cast<std::uint64_t>(found - own->second.begin());
  std::uint64_t ahead = position;
  bool before_own_turn = true;
  for (const std::string& scope : ring_) {
    if (scope == own->first) {
      before_own_turn = false;
      continue;
    }
    const std::uint64_t waiting = scopes_.find(scope)->second.size();
    ahead += std::min(waiting, before_own_turn ? position + 1 : position);
  }
  result.place = ahead + 1;
  return result;
}

void StartQueue::drop_if_empty(const std::string& scope) {
  const auto found = scopes_.find(scope);
  if (!found->second.empty()) return;
  std::erase(ring_, scope);
  scopes_.erase(found);
}

}  // namespace alcove
