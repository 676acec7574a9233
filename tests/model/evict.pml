/* Eviction against return: gateways with route caches, beats and leases; reapers that act on what they saw earlier and may
   be killed anywhere; pods that die; another user's pod that takes over addresses.

   Checks
     wrong pod      a request is never given to a pod of another session that has got the address (fence)
     past the stop  no request begins on a pod whose stop has begun (one pod, nothing lost)
     in flight      an idle session is not stopped while a request is in flight at a gateway whose lease runs, nor after
                    a use of which the store was not told (no blind eviction)
     rescue         an idle session is not stopped after somebody has asked for it (rescue)

   Abstracted, and why that is sound
   - One gateway is modelled in full, all others by what they can do to the record: acquire and mark, at any moment. That
     a stop waits for them too is left out: it only takes runs away. What holds for this gateway holds for each, since
     what is checked is about one gateway and the store. (NG=2 models two in full: too large to search exhaustively.)
   - Pushes and gaps, the pressure on the cache: a gateway may drop its route, and a waiting room may ask again, at any
     moment. A push does nothing else, so each that is late, doubled, out of order or early is among these, and each that
     is lost is the run without it. So the safety of evictions owes nothing to pushes.
   - The connection to the store: a call is carried out at any moment after it was sent, or never; its answer arrives, or
     never (the call has failed). Answers arrive in the order in which the calls were carried out. A beat that has failed
     may be carried out all the same, later; an acquire or marks that do so are among what the others do.
   - Idle time and grace: over at any moment. All evictions that a clock allows are among these.
   - Starting is one step (start.pml has it in full). Pod and generation are one number here.
   - The other user is his pod ("taken"): sessions share addresses and the drain epoch, and the epoch only grows.

   What time is relied on for, and only here
   - The gateway's own lease may end at any moment. In the store's books it ends once the gateway's has ended, and no answer
     and no dial is under way that began under it: the store's is 5 s longer, an answer takes store.timeout (2 s) and a
     dial timeouts.connect (3 s) at most. A process that stands still for longer between a look and the dial that follows
     (a stopped virtual machine) is outside.
   - An address rests: after a stop for as long as an answer and a dial take; after a pod has died by itself until the
     store and the gateways have heard of it, or the gateways' leases are over.
   - A waiting request uses the route in the step in which its room hears of it: both are queued on one thread.

   Not promised, so not checked: a request on a quiet path or a WebSocket without data is no mark (they are no use in
   this model); a request in flight at a gateway that the store does not know, because it was silent for longer than its
   lease or has not beaten yet; a forced drain ends what is in flight. */

#ifndef NG
#define NG 2
#endif
#if NG == 2
#define either(p) (p(0) || p(1))
#else
#define either(p) (p(0))
#endif
#ifndef MAXEPOCH
#define MAXEPOCH 2   /* drains: the reaper begins no more */
#endif
#include "rules.pml"

mtype = { no_pod, alive, dead, stopped };            /* a pod */
mtype = { nobody, held, dialling, connected };       /* a gateway's request */
mtype = { not_sent, sent, marked, answered };        /* a call */

mtype pod[MAXGEN + 1];
bool condemned[MAXGEN + 1];   /* begin_stop was allowed */
bool taken[MAXGEN + 1];       /* the address that this pod had is another user's now */

/* The store's book of gateways. */
bool known[NG];
byte seen_of[NG];

/* A gateway. */
byte route[NG];       /* cached: the pod's generation; 0: none */
bool lease[NG];
byte seen[NG];
byte marks[NG];       /* bit g: a use of generation g to be told */
mtype request[NG];
byte using[NG];       /* the pod of the request */
/* Its acquire, and the answer: the generation if ready, else 0 */
mtype ask[NG];
byte ask_uid[NG];
bool ask_known[NG];   /* the store knew this gateway */
/* Its beat, and the answer */
mtype beat_[NG];
byte beat_marks[NG];
byte beat_seen[NG];
byte reply_epoch[NG];
byte reply_drain[NG]; /* generation that drains; 0: none */
bool reply_late[NG];  /* the lease that it would give is over */
byte late_beat[NG];   /* seen + 1 of a beat that has failed and may be carried out yet */
bool beat_first[NG];  /* both answered: in this order */

bool unmarked[NG];    /* ghost: used while draining, and the store has not heard of it */

#define using_now(g, u) (using[g] == (u) && u != 0)
#define in_use(g) (request[g] == dialling || request[g] == connected)

inline forget_unmarked() {
  unmarked[0] = false;
#if NG == 2
  unmarked[1] = false
#endif
}

/* A use of generation u begins, lasts or ends at gateway g. */
inline use(g, u) {
  marks[g] = marks[g] | (1 << (u));
  if
  :: r.state == draining && r.gen == (u) && known[g] -> unmarked[g] = true
  :: else -> skip
  fi
}

inline begin_use(g, u) {
  using[g] = u; request[g] = dialling;
  use(g, u)
}

inline end_use(g) {
  use(g, using[g]);
  using[g] = 0; request[g] = nobody
}

inline forget_gateway(g) {
  known[g] = false; seen_of[g] = 0; unmarked[g] = false;
  if
  :: beat_[g] == answered -> reply_late[g] = true
  :: else -> skip
  fi
}

inline void_ask(g) { ask[g] = not_sent; ask_uid[g] = 0; ask_known[g] = false; beat_first[g] = false }
inline void_beat(g) {
  beat_[g] = not_sent; beat_marks[g] = 0; beat_seen[g] = 0; reply_epoch[g] = 0; reply_drain[g] = 0;
  reply_late[g] = false; beat_first[g] = false
}

inline forget_unmarked_if_told(g) {
  if
  :: r.state != draining -> forget_unmarked()
  :: else -> skip
  fi
}

inline tell_marks(g) {
  if
  :: beat_marks[g] & (1 << r.gen) ->
     if
     :: r.gen != 0 -> mark(r.gen); forget_unmarked_if_told(g)
     :: else -> skip
     fi
#ifdef MUTANT_MARK_OF_ANY_GENERATION
  :: (beat_marks[g] != 0) && !(beat_marks[g] & (1 << r.gen)) -> mark(0)
#endif
  :: else -> skip
  fi
}
inline beat(g) {
  known[g] = true; seen_of[g] = beat_seen[g];
  reply_epoch[g] = epoch;
  if
  :: r.state == draining && r.epoch > beat_seen[g] -> reply_drain[g] = r.gen
  :: else -> reply_drain[g] = 0
  fi;
  reply_late[g] = false
}
inline leave(g) { known[g] = false; seen_of[g] = 0; unmarked[g] = false }

proctype gateway(byte g) {
  do
  /* --- a request --- */
  :: d_step { request[g] == nobody && lease[g] && route[g] != 0 ->
       printf("gateway %d: a request takes the cached route to pod %d\n", g, route[g]);
       assert(!condemned[route[g]]);                                        /* past the stop */
       begin_use(g, route[g]) }
#ifdef MUTANT_NO_LEASE_CHECK
  :: d_step { request[g] == nobody && !lease[g] && route[g] != 0 ->
       printf("gateway %d: a request takes the cached route to pod %d, without a lease\n", g, route[g]);
       assert(!condemned[route[g]]);                                        /* past the stop */
       begin_use(g, route[g]) }
#endif
  :: d_step { request[g] == nobody && (!lease[g] || route[g] == 0) ->
       printf("gateway %d: a request is held\n", g);
       request[g] = held }
  :: d_step { request[g] == held -> request[g] = nobody }                    /* the deadline, or the client has left */
  :: atomic { request[g] == dialling ->
       if
       :: pod[using[g]] == alive ->
          printf("gateway %d: connected to pod %d\n", g, using[g]);
          request[g] = connected
       :: pod[using[g]] != alive ->                                         /* refused: ask again */
          printf("gateway %d: dials the address of pod %d, which is gone\n", g, using[g]);
          assert(!taken[using[g]]);                                         /* wrong pod */
          if
          :: route[g] == using[g] -> route[g] = 0
          :: else -> skip
          fi;
          end_use(g);
          request[g] = held
       fi }
  :: d_step { request[g] == connected ->
       printf("gateway %d: the request ends\n", g);
       end_use(g) }
  :: d_step { request[g] == connected && pod[using[g]] != alive ->
       printf("gateway %d: its connection to pod %d breaks before an answer: again\n", g, using[g]);
#ifndef MUTANT_REDIAL_BLINDLY
       if
       :: route[g] == using[g] && lease[g] -> request[g] = dialling
       :: else -> end_use(g); request[g] = held
       fi
#else
       request[g] = dialling
#endif
     }
  /* --- the waiting room asks --- */
  :: d_step { ask[g] == not_sent && request[g] == held ->
       printf("store: acquire by gateway %d\n", g);
       acquire();
       if
       :: ask_ready -> ask_uid[g] = r.uid
       :: else -> ask_uid[g] = 0
       fi;
       ok = 0;
       ask_known[g] = known[g];
       ask[g] = answered; beat_first[g] = (beat_[g] == answered) }
#ifndef MUTANT_ANSWERS_OUT_OF_ORDER
  :: d_step { ask[g] == answered && !(beat_[g] == answered && beat_first[g]) ->
#else
  :: d_step { ask[g] == answered ->
#endif
       if
       :: ask_uid[g] != 0 && request[g] == held ->
          printf("gateway %d: hears that pod %d is ready\n", g, ask_uid[g]);
          if
          :: route[g] <= ask_uid[g] -> route[g] = ask_uid[g]
          :: else -> skip
          fi;
          assert(!condemned[ask_uid[g]] || !ask_known[g]);                  /* past the stop */
          begin_use(g, ask_uid[g])
       :: else -> skip
       fi;
       void_ask(g) }
  :: d_step { ask[g] == answered ->
       printf("gateway %d: its call fails\n", g);
       void_ask(g) }
#ifdef MUTANT_PUSH_IS_THE_ANSWER
  :: d_step { request[g] == held && pod[1] != no_pod ->
       printf("gateway %d: believes the push that pod 1 is ready\n", g);
       assert(!condemned[1] || !known[g]);                                  /* past the stop */
       route[g] = 1; begin_use(g, 1) }
#endif
  /* --- a push, a gap, or no room in the cache --- */
  :: d_step { route[g] != 0 ->
       printf("gateway %d: a push takes its route away\n", g);
       route[g] = 0 }
  /* --- the beat --- */
  :: d_step { beat_[g] == not_sent ->
       printf("gateway %d: sends a beat, seen %d\n", g, seen[g]);
       beat_[g] = sent; beat_seen[g] = seen[g];
       if
       :: in_use(g) -> marks[g] = marks[g] | (1 << using[g])
       :: else -> skip
       fi;
       beat_marks[g] = marks[g]; marks[g] = 0 }
#ifndef MUTANT_BEAT_BEFORE_MARKS
  :: d_step { beat_[g] == sent -> printf("store: marks of gateway %d\n", g); tell_marks(g); ok = 0; beat_[g] = marked }
  :: d_step { beat_[g] == marked -> printf("store: beat of gateway %d, seen %d\n", g, beat_seen[g]); beat(g); beat_[g] = answered; beat_first[g] = (ask[g] != answered) }
#else
  :: d_step { beat_[g] == sent -> printf("store: beat of gateway %d, seen %d\n", g, beat_seen[g]); beat(g); beat_[g] = marked }
  :: d_step { beat_[g] == marked -> printf("store: marks of gateway %d\n", g); tell_marks(g); ok = 0; beat_[g] = answered; beat_first[g] = (ask[g] != answered) }
#endif
#ifndef MUTANT_ANSWERS_OUT_OF_ORDER
  :: d_step { beat_[g] == answered && !(ask[g] == answered && !beat_first[g]) ->
#else
  :: d_step { beat_[g] == answered ->
#endif
       printf("gateway %d: hears the answer to its beat: epoch %d\n", g, reply_epoch[g]);
#ifndef MUTANT_ROUTES_OUTLIVE_LEASE
       if
       :: !lease[g] -> route[g] = 0
       :: else -> skip
       fi;
#endif
#ifndef MUTANT_SEEN_BUT_NOT_DROPPED
       if
       :: route[g] != 0 && route[g] <= reply_drain[g] -> route[g] = 0
       :: else -> skip
       fi;
#endif
       seen[g] = reply_epoch[g];
#ifndef MUTANT_LEASE_FROM_ANSWER
       lease[g] = !reply_late[g];
#else
       lease[g] = true;
#endif
       void_beat(g) }
  :: d_step { beat_[g] != not_sent ->                                        /* carried out or not */
       printf("gateway %d: its beat fails\n", g);
#ifndef MUTANT_FAILED_BEAT_LOSES_MARKS
       marks[g] = marks[g] | beat_marks[g];
#endif
       if
#ifndef MUTANT_BEAT_DOES_NOT_AWAIT_MARKS
       :: beat_[g] == marked -> late_beat[g] = beat_seen[g] + 1
#else
       :: beat_[g] != answered -> late_beat[g] = beat_seen[g] + 1
#endif
       :: else -> skip
       fi;
       void_beat(g) }
  :: d_step { late_beat[g] != 0 ->
       printf("store: a beat of gateway %d that had failed, seen %d\n", g, late_beat[g] - 1);
       known[g] = true; seen_of[g] = late_beat[g] - 1; late_beat[g] = 0 }
  /* --- leases --- */
  :: d_step { lease[g] -> printf("gateway %d: its own lease is over\n", g); lease[g] = false }
#ifndef MUTANT_STORE_FORGETS_EARLY
  :: d_step { known[g] && !lease[g] && request[g] != dialling && ask[g] != answered -> printf("store: the lease of gateway %d is over\n", g); forget_gateway(g) }
#else
  :: d_step { known[g] -> printf("store: the lease of gateway %d is over\n", g); forget_gateway(g) }
#endif
  /* --- it takes leave, or is killed and comes back under another name --- */
  :: d_step { request[g] == nobody && beat_[g] == not_sent && marks[g] == 0 && known[g] ->
       printf("store: leave of gateway %d\n", g);
       leave(g);
#ifndef MUTANT_LEAVES_AND_SERVES_ON
       lease[g] = false; route[g] = 0; seen[g] = 0; void_ask(g)
#endif
     }
  :: d_step { known[g] || lease[g] || route[g] != 0 || request[g] != nobody || beat_[g] != not_sent || marks[g] != 0 ->
       printf("gateway %d: is killed and comes back under another name\n", g);
       leave(g);
       lease[g] = false; route[g] = 0; seen[g] = 0; marks[g] = 0; using[g] = 0; request[g] = nobody;
       void_ask(g); void_beat(g) }
  od
}

#define is_behind(g) (known[g] && seen_of[g] < r.epoch)
#ifdef MUTANT_STOP_WAITS_FOR_NOBODY
#define behind_ false
#else
#define behind_ either(is_behind)
#endif
#define serves(g)    (known[g] && in_use(g) && using[g] == r.gen)
#define untold(g)    (unmarked[g])

/* Reapers, and operators who delete. What a reaper acts on it saw earlier: each call may name any generation so far. */
proctype reaper() {
  byte g;
  do
  :: atomic {
       r.gen > 0;
       if
       :: g = 1
       :: MAXGEN > 1 && r.gen > 1 -> g = MAXGEN
       fi;
       if
       :: d_step { epoch < MAXEPOCH && (r.state == ready || rescuable) ->
            r.idle_over = true;
            drain(g, idle);
            if
            :: ok == allowed -> printf("store: drain of generation %d, idle\n", g); forget_unmarked()
            :: else -> skip
            fi;
            r.idle_over = false }
       :: d_step { epoch < MAXEPOCH && (r.state == ready || rescuable) ->
            drain(g, deleted);
            if
            :: ok == allowed -> printf("store: drain of generation %d, deleted\n", g)
            :: else -> skip
            fi }
       :: d_step { r.state == draining ->
            r.grace_over = true;
            begin_stop(g, behind_);
            r.grace_over = false;
            if
            :: ok == allowed ->
               printf("store: begin_stop of generation %d\n", g);
               condemned[g] = true;
               if
               :: r.cause == idle ->
                  assert(!either(serves));                                  /* in flight */
                  assert(!either(untold));                                  /* in flight */
                  assert(!r.wanted)                                         /* rescue */
               :: else -> skip
               fi
            :: else -> skip
            fi }
       :: d_step { condemned[g] && pod[g] != stopped ->
            printf("runtime: pod %d is stopped\n", g); pod[g] = stopped }
       :: d_step { r.state == stopping && pod[g] == stopped ->
            printf("store: gone, generation %d\n", g);
            gone(g) }
       :: else -> skip
       fi;
       ok = 0; g = 0 }
  od
}

/* All other gateways, and calls that have failed and are carried out late: what they can do to the record. */
proctype others() {
  do
  :: d_step { r.state != starting -> printf("store: acquire by another gateway\n"); acquire(); forget_unmarked_if_told(0); ok = 0 }
  :: d_step { rescuable -> printf("store: a mark of another gateway\n"); mark(r.gen); forget_unmarked_if_told(0); ok = 0 }
  od
}

proctype provisioner() {
  do
  :: d_step { r.state == pending ->
       printf("store: claim; pod %d runs; store: publish_ready\n", r.gen);
       claim(1); pod[r.gen] = alive; publish_ready(r.gen, r.gen); ok = 0 }
  :: d_step { r.state == ready && pod[r.gen] == dead ->
       printf("store: lost, generation %d\n", r.gen); lost(r.gen, r.gen); ok = 0 }
  od
}

#define reached(g) ((request[g] == dialling && using[g] == u) || (ask[g] == answered && ask_uid[g] == u))
#define routed(g)  (route[g] == u)

/* Time, and what pods and other users do. */
proctype world() {
  byte u;
  do
  :: d_step { r.gen != 0 && pod[r.gen] == alive -> printf("pod %d dies by itself\n", r.gen); pod[r.gen] = dead }
  :: atomic {
       if
       :: u = 1
       :: MAXGEN > 1 -> u = MAXGEN
       fi;
       if
       :: pod[u] == stopped && !taken[u] && !either(reached) -> printf("another pod gets the address of pod %d\n", u); taken[u] = true
#ifndef MUTANT_ADDRESS_DOES_NOT_REST
       :: pod[u] == dead && !taken[u] && !either(reached) && !either(routed) &&
          r.uid != u ->
          printf("another pod gets the address of pod %d\n", u); taken[u] = true
#else
       :: pod[u] == dead && !taken[u] && !either(reached) -> printf("another pod gets the address of pod %d\n", u); taken[u] = true
#endif
       :: else -> skip
       fi;
       u = 0 }
  od
}

init {
  atomic {
    begin_absent();
    pod[0] = no_pod; pod[1] = no_pod; pod[MAXGEN] = no_pod;
    byte i;
    for (i : 0 .. NG - 1) {
      request[i] = nobody; ask[i] = not_sent; beat_[i] = not_sent
    }
    i = 0;
    for (i : 0 .. NG - 1) { run gateway(i) };
    i = 0; run reaper(); run others(); run provisioner(); run world()
  }
}
