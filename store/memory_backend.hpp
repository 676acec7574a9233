// MemoryBackend: what all MemoryStores of a process stand on: the records and what follows from them (start
// queue, due times, claims, drains, gateways), and the list of the clients that get every transition. Called
// by: MemoryStore. Thread: any; one mutex, held for one step of the protocol and never while waiting. Fails
// with: what the rules in transitions.hpp say, and Errc::invalid.
#pragma once

#include "base/net.hpp"
#include "store/start_queue.hpp"
#include "store/store.hpp"
#include "store/transitions.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace alcove {

class MemoryBackend {
 public:
  using Clock = std::function<WallTime()>;  // called under the mutex, from any thread
  explicit MemoryBackend(Clock clock = wall_now);

  // One MemoryStore. While it is attached, `deliver` runs on its executor, each transition once and in order:
  // each wakes the thread, so a store is attached only while it has subscribers.
  struct Client {
    explicit Client(Executor its_executor) : executor(its_executor) {}
    Executor executor;
    std::vector<Subscriber*> subscribers;  // on the executor's thread only, as `closed`
    bool closed = false;
    void deliver(const Transition& transition);
  };
  void attach(std::shared_ptr<Client> client);
  void detach(const std::shared_ptr<Client>& client);  // nothing is posted to it any more

  Result<Session> acquire(const AcquireRequest& request);
  Session lookup(const SessionKey& key);
  QueuePlace place(const SessionKey& key);
  BeatReply beat(const Beat& beat);
  void leave(const std::string& gateway);
  std::optional<Session> claim(const ClaimRequest& request);
  std::vector<SessionKey> renew(const std::string& provisioner, Millis lease,
                                const std::vector<SessionKey>& keys);
  Result<Session> publish_ready(const SessionKey& key, Generation generation, Endpoint endpoint,
                                const std::string& pod_uid);
  Result<Session> publish_failed(const SessionKey& key, Generation generation, const std::string& reason,
                                 Millis retry_in);
  Result<Session> lost(const SessionKey& key, Generation generation, const std::string& pod_uid,
                       const std::string& reason);
  Result<Session> adopt(const Session& pod);
  std::vector<Due> due(std::uint32_t limit);
  Result<Session> drain(const SessionKey& key, Generation generation, EndCause cause);
  Result<Session> begin_stop(const SessionKey& key, Generation generation);
  Result<Session> gone(const SessionKey& key, Generation generation);
  Store::Page list(const std::string& cursor, std::uint32_t limit);
  Result<Session> pin(const SessionKey& key, bool pinned);
  Result<Session> busy(const SessionKey& key, Millis busy_for);

 private:
  using Record = transitions::Record;
  using Moment = std::pair<WallTime, SessionKey>;
  struct Gateway {
    std::uint64_t seen = 0;
    WallTime lease_end;
  };

  Record record_of(const SessionKey& key) const;
  // Runs one rule on a copy of the record; what the rule allowed is written, indexed and pushed.
  template <class Rule>
  Result<Session> apply(const SessionKey& key, Rule rule);
  void commit(const Record& before, Record after);
  void push(const Session& session);
  void forget_old(WallTime now);
  void drop_silent_gateways(WallTime now);
  std::string gateway_behind(std::uint64_t epoch) const;

  std::mutex mutex_;
  Clock clock_;
  std::map<SessionKey, Record> records_;  // absent ones stay for transitions::kRemember
  std::set<SessionKey> present_;          // not absent
  std::set<Moment> due_;
  std::set<Moment> claims_;
  std::set<Moment> forget_;
  StartQueue queue_;
  std::map<std::string, Gateway> gateways_;
  std::uint64_t epoch_ = 0;
  std::map<std::uint64_t, std::pair<SessionKey, Generation>>
      drains_;  // by epoch: exactly what is draining now
  std::vector<std::shared_ptr<Client>> clients_;
};

}  // namespace alcove
