#include "store/memory_backend.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace alcove {
namespace {

constexpr std::size_t kMostForgottenPerStep = 8;  // so that no single step pays for many
constexpr std::size_t kMostDrainsPerReply = 5'000;

template <class Set, class Time>
void move_entry(Set& set, const SessionKey& key, Time before, Time after) {
  if (before == after) return;
  if (before != Time{}) set.erase({before, key});
  if (after != Time{}) set.emplace(after, key);
}

WallTime forgotten_at(const Session& s) {
  const bool ends = s.generation != 0 && (s.state == State::absent || s.state == State::failed);
  return ends ? s.changed + transitions::kRemember : WallTime{};
}

}  // namespace

MemoryBackend::MemoryBackend(Clock clock) : clock_(std::move(clock)) {}

void MemoryBackend::Client::deliver(const Transition& transition) {
  if (closed) return;
  // A copy, because a subscriber may unsubscribe from inside its call; who has left meanwhile is not called.
  const std::vector<Subscriber*> now = subscribers;
  for (Subscriber* subscriber : now)
    if (std::find(subscribers.begin(), subscribers.end(), subscriber) != subscribers.end())
      subscriber->on_transition(transition);
}

void MemoryBackend::attach(std::shared_ptr<Client> client) {
  const std::lock_guard lock(mutex_);
  clients_.push_back(std::move(client));
}

void MemoryBackend::detach(const std::shared_ptr<Client>& client) {
  const std::lock_guard lock(mutex_);
  std::erase(clients_, client);
}

MemoryBackend::Record MemoryBackend::record_of(const SessionKey& key) const {
  const auto found = records_.find(key);
  if (found != records_.end()) return found->second;
  Record record;
  record.session.key = key;
  return record;
}

template <class Rule>
Result<Session> MemoryBackend::apply(const SessionKey& key, Rule rule) {
  const std::lock_guard lock(mutex_);
  const WallTime now = clock_();
  forget_old(now);
  const Record before = record_of(key);
  Record after = before;
  const Result<void> ruling = rule(after, now);
  if (!ruling) return ruling.error();
  Session session = after.session;
  commit(before, std::move(after));
  return session;
}

void MemoryBackend::commit(const Record& before, Record after) {
  const Session& was = before.session;
  const Session& is = after.session;
  const SessionKey key = is.key;
  if (was.state == State::pending && is.state != State::pending) queue_.remove(key);
  if (was.state != State::pending && is.state == State::pending) queue_.push(key);
  if (is.state == State::absent)
    present_.erase(key);
  else
    present_.insert(key);
  move_entry(due_, key, was.due, is.due);
  move_entry(claims_, key, before.claim_end, after.claim_end);
  move_entry(forget_, key, forgotten_at(was), forgotten_at(is));
  if (before.drain_epoch != after.drain_epoch) {
    drains_.erase(before.drain_epoch);
    if (after.drain_epoch != 0) drains_[after.drain_epoch] = {key, is.generation};
  }
  if (!transitions::is_same_life(was, is)) push(is);
  records_[key] = std::move(after);
}

void MemoryBackend::push(const Session& session) {
  const auto transition = std::make_shared<const Transition>(transitions::transition_of(session));
  // Posting under the mutex keeps the order of the steps for every client.
  for (const auto& client : clients_)
    asio::post(client->executor, [client, transition] { client->deliver(*transition); });
}

void MemoryBackend::forget_old(WallTime now) {
  for (std::size_t i = 0; i < kMostForgottenPerStep && !forget_.empty() && forget_.begin()->first <= now;
       ++i) {
    const SessionKey key = forget_.begin()->second;
    forget_.erase(forget_.begin());
    present_.erase(key);
    records_.erase(key);
  }
}

void MemoryBackend::drop_silent_gateways(WallTime now) {
  std::erase_if(gateways_, [now](const auto& entry) { return entry.second.lease_end <= now; });
}

std::string MemoryBackend::gateway_behind(std::uint64_t epoch) const {
  for (const auto& [name, gateway] : gateways_)
    if (gateway.seen < epoch) return name;
  return {};
}

Result<Session> MemoryBackend::acquire(const AcquireRequest& request) {
  return apply(request.key, [&](Record& r, WallTime now) { return transitions::acquire(r, request, now); });
}

Session MemoryBackend::lookup(const SessionKey& key) {
  const std::lock_guard lock(mutex_);
  forget_old(clock_());
  return record_of(key).session;
}

QueuePlace MemoryBackend::place(const SessionKey& key) {
  const std::lock_guard lock(mutex_);
  return queue_.place(key);
}

BeatReply MemoryBackend::beat(const Beat& beat) {
  for (const Beat::Mark& mark : beat.marks)
    (void)apply(mark.key, [&](Record& r, WallTime now) { return transitions::mark(r, mark, now); });
  // The marks first: with the beat itself its `seen` counts, and begin_stop must find the marks then.
  const std::lock_guard lock(mutex_);
  gateways_[beat.gateway] = {beat.seen, clock_() + beat.lease};
  BeatReply reply;
  reply.epoch = epoch_;
  for (auto drain = drains_.upper_bound(beat.seen); drain != drains_.end(); ++drain) {
    if (reply.draining.size() == kMostDrainsPerReply) {
      reply.epoch = std::prev(drain)->first;
      break;
    }
    reply.draining.push_back(drain->second);
  }
  return reply;
}

void MemoryBackend::leave(const std::string& gateway) {
  const std::lock_guard lock(mutex_);
  gateways_.erase(gateway);
}

std::optional<Session> MemoryBackend::claim(const ClaimRequest& request) {
  const std::lock_guard lock(mutex_);
  const WallTime now = clock_();
  std::optional<SessionKey> key;
  if (!claims_.empty() && claims_.begin()->first <= now)
    key = claims_.begin()->second;
  else if (claims_.size() < request.max_in_progress)
    key = queue_.next();
  if (!key) return std::nullopt;
  const Record before = record_of(*key);
  Record after = before;
  if (!transitions::claim(after, request, now)) {
    queue_.remove(*key);  // nobody shall wait behind it
    return std::nullopt;
  }
  Session session = after.session;
  commit(before, std::move(after));
  return session;
}

std::vector<SessionKey> MemoryBackend::renew(const std::string& provisioner, Millis lease,
                                             const std::vector<SessionKey>& keys) {
  const std::lock_guard lock(mutex_);
  const WallTime now = clock_();
  std::vector<SessionKey> not_owned;
  for (const SessionKey& key : keys) {
    const Record before = record_of(key);
    if (!transitions::owns(before, provisioner)) {
      not_owned.push_back(key);
      continue;
    }
    Record after = before;
    after.claim_end = now + lease;
    commit(before, std::move(after));
  }
  return not_owned;
}

Result<Session> MemoryBackend::publish_ready(const SessionKey& key, Generation generation, Endpoint endpoint,
                                             const std::string& pod_uid) {
  return apply(key, [&](Record& r, WallTime now) {
    return transitions::publish_ready(r, generation, endpoint, pod_uid, now);
  });
}

Result<Session> MemoryBackend::publish_failed(const SessionKey& key, Generation generation,
                                              const std::string& reason, Millis retry_in) {
  return apply(key, [&](Record& r, WallTime now) {
    return transitions::publish_failed(r, generation, reason, retry_in, now);
  });
}

Result<Session> MemoryBackend::lost(const SessionKey& key, Generation generation, const std::string& pod_uid,
                                    const std::string& reason) {
  return apply(
      key, [&](Record& r, WallTime now) { return transitions::lost(r, generation, pod_uid, reason, now); });
}

Result<Session> MemoryBackend::adopt(const Session& pod) {
  return apply(pod.key, [&](Record& r, WallTime now) { return transitions::adopt(r, pod, now); });
}

std::vector<Due> MemoryBackend::due(std::uint32_t limit) {
  const std::lock_guard lock(mutex_);
  const WallTime now = clock_();
  std::vector<SessionKey> keys;
  for (auto entry = due_.begin(); entry != due_.end() && entry->first <= now && keys.size() < limit; ++entry)
    keys.push_back(entry->second);
  std::vector<Due> result;
  for (const SessionKey& key : keys) {
    const Record before = record_of(key);
    Record after = before;
    if (!transitions::hand_out_due(after, now)) continue;
    result.push_back({after.session});
    commit(before, std::move(after));
  }
  return result;
}

Result<Session> MemoryBackend::drain(const SessionKey& key, Generation generation, EndCause cause) {
  return apply(key, [&](Record& r, WallTime now) {
    auto ruling = transitions::drain(r, generation, cause, epoch_ + 1, now);
    if (ruling && r.drain_epoch == epoch_ + 1) ++epoch_;
    return ruling;
  });
}

Result<Session> MemoryBackend::begin_stop(const SessionKey& key, Generation generation) {
  return apply(key, [&](Record& r, WallTime now) {
    drop_silent_gateways(now);
    return transitions::begin_stop(r, generation, gateway_behind(r.drain_epoch), now);
  });
}

Result<Session> MemoryBackend::gone(const SessionKey& key, Generation generation) {
  return apply(key, [&](Record& r, WallTime now) { return transitions::gone(r, generation, now); });
}

Store::Page MemoryBackend::list(const std::string& cursor, std::uint32_t limit) {
  const std::lock_guard lock(mutex_);
  Store::Page page;
  auto next = present_.begin();
  if (const auto after = SessionKey::parse(cursor)) next = present_.upper_bound(after.value());
  for (; next != present_.end() && page.sessions.size() < limit; ++next)
    page.sessions.push_back(record_of(*next).session);
  if (next != present_.end() && !page.sessions.empty()) page.cursor = page.sessions.back().key.text();
  return page;
}

Result<Session> MemoryBackend::pin(const SessionKey& key, bool pinned) {
  return apply(key, [&](Record& r, WallTime now) { return transitions::pin(r, pinned, now); });
}

Result<Session> MemoryBackend::busy(const SessionKey& key, Millis busy_for) {
  return apply(key, [&](Record& r, WallTime now) { return transitions::busy(r, busy_for, now); });
}

}  // namespace alcove
