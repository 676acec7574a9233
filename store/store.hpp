// Store: where sessions live. One interface, two makers (memory_store, redis_store), one contract test.
// Called by: proxy (acquire, lookup, beat, place), lifecycle (claim ... due), api (list, lookup, acquire,
// drain). Thread: a Store object belongs to one io_context; every role and every worker has its own. What it
// stands on (the memory, the Redis server) is shared. Every call is one atomic step and reads the time from
// the store's own clock, so hosts need not agree on it. A call that names a generation changes nothing if the
// record has moved on (Errc::stale). Every transition is pushed to all subscribers, in order per session,
// until the link breaks (on_gap). Fails with: Errc::unavailable (cannot be reached), timeout (no answer in
// time; it may or may not have happened).
#pragma once

#include "base/net.hpp"
#include "base/result.hpp"
#include "store/session.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace alcove {

// Receives pushes on the store's own thread. Must not destroy the store from inside a call.
class Subscriber {
 public:
  virtual ~Subscriber() = default;
  virtual void on_transition(const Transition& transition) = 0;
  // Pushes may have been lost (link broken and back, or slow): forget what was learnt from them and ask
  // again.
  virtual void on_gap() = 0;
};

struct AcquireRequest {
  SessionKey key;
  std::string app;
  std::string user;
  SessionPolicy policy;  // written when a generation is created
  // False: finds it, but wakes nobody: a session that was put to rest (or never was) stays absent. One whose
  // pod was lost while it was in use is started all the same: whoever asks was served a moment ago.
  bool may_start = true;
};

// Sent by each gateway worker every `activity_interval`: it is alive, this is what it served, and this is how
// far it has followed the drains. The three travel together because eviction is safe only if they do (see
// begin_stop).
struct Beat {
  std::string gateway;     // unique per worker and process life
  std::uint64_t seen = 0;  // BeatReply::epoch of the last reply that was fully processed; 0 at first
  Millis lease{65'000};    // after this silence the worker surely serves from no cached route any more
  struct Mark {
    SessionKey key;
    Generation generation = 0;
    Millis age{0};                     // how long ago the activity was
    std::string what;                  // "request", "body", "websocket"
    std::optional<Millis> busy_for{};  // from the activity on; the app said so. Zero: no longer busy
  };
  std::vector<Mark> marks;
};

struct BeatReply {
  std::uint64_t epoch = 0;  // grows with every drain
  // Sessions that began to drain after `seen`: drop their routes before the next beat.
  std::vector<std::pair<SessionKey, Generation>> draining;
};

// Place in the start queue, as fairness between scopes will serve it: 1 is next. 0: not queued.
struct QueuePlace {
  std::uint64_t place = 0;
  std::uint64_t queued = 0;  // in all
};

struct ClaimRequest {
  std::string provisioner;             // unique per process life
  std::uint32_t max_in_progress = 20;  // starts in progress of all provisioners together
  Millis lease{30'000};  // renewed by renew(); past it another provisioner may claim the start again
};

// What the reaper has to do next for a session whose `due` has come.
struct Due {
  Session session;
  // ready: drain it. draining: begin_stop. stopping: whoever stopped it is late, stop the pod again.
};

class Store {
 public:
  virtual ~Store() = default;

  // --- gateways ---

  // Finds the session or creates it and queues its start, in one step; rescues it from an idle drain; marks
  // activity.
  //   ready: use it. pending, starting: wait for the push. failed: not before retry_at, the reason is there.
  //   stopping or a forced drain: `wanted` was set, the next generation is queued when the pod is gone.
  //   absent: it may not be started (may_start).
  virtual Awaitable<Result<Session>> acquire(AcquireRequest request) = 0;
  // The record as it is; state absent (and generation of the last pod, if remembered) if there is none. No
  // side effect.
  virtual Awaitable<Result<Session>> lookup(SessionKey key) = 0;
  virtual Awaitable<Result<QueuePlace>> place(SessionKey key) = 0;
  virtual Awaitable<Result<BeatReply>> beat(Beat beat) = 0;
  // A gateway worker that ends in order: evictions no longer wait for it.
  virtual Awaitable<Result<void>> leave(std::string gateway) = 0;

  // --- provisioner ---

  // The next start, fair between scopes (one from each in turn), first those whose provisioner has died (same
  // generation: creating again is adopting). Empty: nothing queued, or the limit is met.
  virtual Awaitable<Result<std::optional<Session>>> claim(ClaimRequest request) = 0;
  // Keeps the claims of these sessions; answers which of them are no longer this provisioner's (stopped
  // meanwhile).
  virtual Awaitable<Result<std::vector<SessionKey>>> renew(std::string provisioner, Millis lease,
                                                           std::vector<SessionKey> keys) = 0;
  // starting -> ready. stale: the session was stopped or claimed by another meanwhile; the caller removes its
  // pod.
  virtual Awaitable<Result<Session>> publish_ready(SessionKey key, Generation generation, Endpoint endpoint,
                                                   std::string pod_uid) = 0;
  // starting -> failed, no new start for `retry_in`. `reason` is shown to who waits.
  virtual Awaitable<Result<Session>> publish_failed(SessionKey key, Generation generation, std::string reason,
                                                    Millis retry_in) = 0;
  // The pod died by itself. ready or an idle drain -> absent (cause lost); stopping or a forced drain -> as
  // gone().
  virtual Awaitable<Result<Session>> lost(SessionKey key, Generation generation, std::string pod_uid,
                                          std::string reason) = 0;
  // A running pod whose record was lost (wiped store), or was begun anew since and has no pod that serves:
  // -> ready with the pod's generation. stale if the record knows better: then the pod is an orphan.
  virtual Awaitable<Result<Session>> adopt(Session session) = 0;

  // --- reaper ---

  virtual Awaitable<Result<std::vector<Due>>> due(std::uint32_t limit) = 0;
  // ready -> draining. Cause idle: only if the idle time is really over and it is not pinned (else
  // Errc::busy). lifetime, deleted: from ready; an idle drain becomes a forced one. deleted: also pending ->
  // absent, and starting -> stopping (the provisioner sees it and gives up), failed -> absent.
  virtual Awaitable<Result<Session>> drain(SessionKey key, Generation generation, EndCause cause) = 0;
  // draining -> stopping, if no gateway can still send a request there (else Errc::busy, and the text says
  // for whom it waits): the grace of an idle drain is over, and every gateway whose lease runs has sent a
  // beat whose `seen` is at least this drain's epoch. Such a beat carries the marks of all that it served
  // from the route, and a mark rescues.
  virtual Awaitable<Result<Session>> begin_stop(SessionKey key, Generation generation) = 0;
  // stopping -> absent, or pending with the next generation if it is wanted.
  virtual Awaitable<Result<Session>> gone(SessionKey key, Generation generation) = 0;

  // --- people ---

  // Pages through all sessions that are not absent, in no order. `cursor` "" at first; "" in the answer: the
  // end.
  struct Page {
    std::vector<Session> sessions;
    std::string cursor;
  };
  virtual Awaitable<Result<Page>> list(std::string cursor, std::uint32_t limit) = 0;
  virtual Awaitable<Result<Session>> pin(SessionKey key, bool pinned) = 0;
  // Not idle for so long from now on, whatever is seen of it. Zero: no longer busy.
  virtual Awaitable<Result<Session>> busy(SessionKey key, Millis busy_for) = 0;

  // --- link ---

  virtual void subscribe(Subscriber* subscriber) = 0;  // until unsubscribe; several are possible
  virtual void unsubscribe(Subscriber* subscriber) = 0;
  // Reachable now, and pushes arrive. For readiness.
  virtual bool connected() const = 0;
  // Ends all waiting calls with Errc::cancelled and closes the link. Call on its thread, then let the loop
  // run out.
  virtual void close() = 0;
};

}  // namespace alcove
