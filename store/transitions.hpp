// The rules of a session's life, one pure function per call of the Store: they look at one record, the
// request and the time, and either change the record or refuse with an Error and change nothing. What a store
// keeps beside the records (queue, claims, due times, pushes) follows from the record before and after, see
// MemoryBackend::commit. store/scripts/*.lua are the same rules, under the same names, for Redis; the
// contract test holds the two together. Called by: MemoryBackend. No I/O, no state, any thread.
#pragma once

#include "base/result.hpp"
#include "store/session.hpp"
#include "store/store.hpp"

#include <string>

namespace alcove::transitions {

// A Session with what only the store itself needs to know about it.
struct Record {
  Session session;
  std::string owner;              // starting: the provisioner that has claimed it
  WallTime claim_end;             // starting: past it, another provisioner may claim it
  std::uint64_t drain_epoch = 0;  // draining: which drain it is, counted over all sessions
};

// Past stop_grace, how long whoever stops a pod may take before the reaper looks again.
inline constexpr Millis kStopSlack{30'000};
// A record that is absent or failed is remembered so long: generations go on growing, and it can say why it
// ended.
inline constexpr Millis kRemember{7 * 24 * 3'600'000};
// More of a reason is cut off: it goes to everyone who waits.
inline constexpr std::size_t kMaxReasonBytes = 4'096;

// Where the idle time ends. Zero: never. A start that took longer than the idle time is not idle when it is
// ready.
WallTime idle_at(const Session& session);
// When the reaper has to look at it next. Zero: never. Not for stopping, whose lease begins when it is handed
// out.
WallTime due_at(const Session& session);
bool is_same_life(const Session& a, const Session& b);  // nothing to push: state, generation and cause agree
Transition transition_of(const Session& session);

Result<void> acquire(Record& record, const AcquireRequest& request, WallTime now);
Result<void> mark(Record& record, const Beat::Mark& mark, WallTime now);
Result<void> claim(Record& record, const ClaimRequest& request, WallTime now);
bool owns(const Record& record, const std::string& provisioner);
Result<void> publish_ready(Record& record, Generation generation, Endpoint endpoint,
                           const std::string& pod_uid, WallTime now);
Result<void> publish_failed(Record& record, Generation generation, const std::string& reason, Millis retry_in,
                            WallTime now);
Result<void> lost(Record& record, Generation generation, const std::string& pod_uid,
                  const std::string& reason, WallTime now);
Result<void> adopt(Record& record, const Session& pod, WallTime now);
// What is due is handed out under a lease if it is a stop: the next reaper sees it again only when that is
// over.
Result<void> hand_out_due(Record& record, WallTime now);
Result<void> drain(Record& record, Generation generation, EndCause cause, std::uint64_t epoch, WallTime now);
// `waits_for`: a gateway that has not seen the drain yet, empty if there is none.
Result<void> begin_stop(Record& record, Generation generation, const std::string& waits_for, WallTime now);
Result<void> gone(Record& record, Generation generation, WallTime now);
Result<void> pin(Record& record, bool pinned, WallTime now);
Result<void> busy(Record& record, Millis busy_for, WallTime now);

// Only idle, lifetime and deleted begin with a drain.
Result<void> check_drain_cause(EndCause cause);
// A pod's UID travels in tab-separated messages and logs.
Result<void> check_word(std::string_view what, std::string_view word);

}  // namespace alcove::transitions
