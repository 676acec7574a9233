/* The store's rules for one session, as store/transitions.cpp and store/scripts have them and under the same names.
   Included by evict.pml, start.pml and hold.pml. Every rule is used inside one atomic step, as a script is one in Redis.

   Left out here, and why that is sound:
   - Clocks. What a clock decides is a flag that an event of the model sets (idle_over, grace_over, claim_over,
     retry_over), at any moment at which time could have passed. More orders are tried than any clock allows.
   - `lifetime`. It begins a forced drain from ready, as `deleted` does, and does nothing that `deleted` does not.
   - A mark's age. A use in flight has age 0. Of a use that has ended, a mark is taken to be newer than what the store
     knows; one that is older tells nothing that the idle time does not contain already.
   - pin, busy, place, list, due: see UNMODELLED in test_model.py.

   A rule sets `ok`: allowed, stale, busy. MUTANT_... switches one guard off: test_model.py wants an error for each. */

#ifndef MAXGEN
#define MAXGEN 2   /* generations of the session: acquire begins no more */
#endif

mtype = { absent, pending, starting, ready, draining, stopping, failed };
mtype = { none, idle, deleted, lost_by_itself, start_failed };
mtype = { allowed, stale, busy };

typedef Record {
  mtype state;
  mtype cause;
  byte gen;
  byte uid;          /* 0: no pod */
  byte owner;        /* starting: the provisioner that has claimed it */
  byte epoch;        /* draining: which drain */
  bool wanted;
  bool claim_over;   /* the claim's lease is over */
  bool idle_over;    /* ready: the idle time is over */
  bool grace_over;   /* draining for idleness: it need not wait for a rescue any more */
  bool retry_over;   /* failed: a new start is allowed */
  bool shielded;     /* adopted: busy until no gateway that the wiped store knew can still use the route */
}

Record r;
byte epoch;          /* of the last drain */
mtype ok;            /* the answer of the last rule: read, and put back to 0, within the same step */

#define rescuable (r.state == draining && r.cause == idle)
/* May the record take over a running pod of this generation? Nobody has started a generation that is pending. */
#ifndef MUTANT_ADOPT_ONLY_ABSENT
#define may_adopt(meant) ((r.gen < (meant) && (r.state == absent || r.state == starting || r.state == failed)) || \
                          (r.gen <= (meant) && r.state == pending))
#else
#define may_adopt(meant) (r.gen < (meant) && r.state == absent)
#endif
#define has_pod   (r.state == ready || r.state == draining || r.state == stopping)
#define ask_ready (ok == allowed && r.state == ready)   /* acquire's answer may be used */

inline touch() { r.idle_over = false }

inline set_ready() {
  r.state = ready; r.cause = none; r.epoch = 0; r.grace_over = false
}

inline become_ready(the_uid) {
  r.uid = the_uid; r.owner = 0; r.claim_over = false; r.idle_over = false;
  set_ready()
}

inline become_pending() {
  r.gen++;
  r.state = pending; r.cause = none; r.uid = 0; r.wanted = false; r.epoch = 0; r.retry_over = false;
  r.grace_over = false; r.shielded = false;
  touch()
}

inline become_stopping(why) {
  r.state = stopping; r.cause = why; r.epoch = 0; r.owner = 0; r.claim_over = false; r.grace_over = false;
  r.idle_over = false
}

inline become_absent(why) {
  r.state = absent; r.cause = why; r.uid = 0; r.wanted = false; r.epoch = 0; r.idle_over = false;
  r.grace_over = false; r.retry_over = false; r.shielded = false
}

inline end_or_begin_next() {
  if
  :: r.wanted && r.gen < MAXGEN -> become_pending()
  :: else -> become_absent(r.cause)
  fi
}

inline acquire() {
  ok = allowed;
  if
  :: r.state == absent || (r.state == failed && r.retry_over) ->
     if
     :: r.gen < MAXGEN -> become_pending()
     :: else -> skip    /* the bound of the model: nobody comes any more */
     fi
  :: r.state == pending || r.state == starting || r.state == ready -> touch()
#ifndef MUTANT_ACQUIRE_DOES_NOT_RESCUE
  :: rescuable -> touch(); set_ready()
  :: (r.state == draining && r.cause != idle) || r.state == stopping -> r.wanted = true
#else
  :: r.state == draining || r.state == stopping -> r.wanted = true
#endif
  :: r.state == failed && !r.retry_over -> skip
  fi
}

inline mark(meant) {
  if
#ifndef MUTANT_MARK_OF_ANY_GENERATION
  :: (r.state == ready || rescuable) && r.gen == (meant) ->
#else
  :: (r.state == ready || rescuable) ->
#endif
     ok = allowed; touch();
#ifndef MUTANT_MARK_DOES_NOT_RESCUE
     if
     :: r.state == draining -> set_ready()
     :: else -> skip
     fi
#endif
  :: else -> ok = stale
  fi
}

inline claim(who) {
  if
#ifndef MUTANT_CLAIM_WITHOUT_LEASE
  :: r.state == pending || (r.state == starting && r.claim_over) ->
#else
  :: r.state == pending || r.state == starting ->
#endif
     ok = allowed; r.state = starting; r.owner = (who); r.claim_over = false
  :: else -> ok = stale
  fi
}

/* `allowed`: still this provisioner's. */
inline renew(who) {
  if
  :: r.state == starting && r.owner == (who) -> ok = allowed; r.claim_over = false
  :: else -> ok = stale
  fi
}

inline publish_ready(meant, the_uid) {
  if
#ifndef MUTANT_READY_OF_ANY_GENERATION
  :: r.gen != (meant) -> ok = stale
#endif
  :: else ->
     if
     :: (r.state == ready || rescuable) && r.uid == (the_uid) -> ok = allowed    /* told again */
#ifndef MUTANT_READY_IN_ANY_STATE
     :: r.state == starting -> ok = allowed; become_ready(the_uid)
#else
     :: !((r.state == ready || rescuable) && r.uid == (the_uid)) -> ok = allowed; become_ready(the_uid)
#endif
     :: else -> ok = stale
     fi
  fi
}

inline publish_failed(meant) {
  if
  :: r.gen == (meant) && r.state == starting ->
     ok = allowed; r.state = failed; r.cause = start_failed; r.owner = 0; r.claim_over = false; r.retry_over = false
  :: else -> ok = stale
  fi
}

inline lost(meant, the_uid) {
  if
#ifndef MUTANT_LOST_WITHOUT_UID
  :: !has_pod || r.gen != (meant) || (r.uid != 0 && r.uid != (the_uid)) -> ok = stale
#else
  :: !has_pod || r.gen != (meant) -> ok = stale
#endif
  :: else ->
     ok = allowed;
     if
     :: r.state == ready || rescuable -> become_absent(lost_by_itself)
     :: else -> end_or_begin_next()
     fi
  fi
}

/* A running pod whose record is missing, or has begun again at a lower generation since the store was wiped: then it is
   this pod that the session has, and the start that is queued or under way is given up. */
inline adopt(meant, the_uid) {
  if
  :: r.state == ready && r.gen == (meant) && r.uid == (the_uid) -> ok = allowed    /* told again */
  :: may_adopt(meant) ->
     ok = allowed; r.gen = (meant); r.wanted = false; r.retry_over = false; become_ready(the_uid);
#ifndef MUTANT_ADOPT_WITHOUT_SHIELD
     r.shielded = true
#endif
  :: else -> ok = stale
  fi
}

inline drain(meant, why) {
  if
  :: r.gen != (meant) -> ok = stale
  :: r.gen == (meant) && r.state == ready && why == idle && (!r.idle_over || r.shielded) -> ok = busy
  :: r.gen == (meant) && ((r.state == ready && (why != idle || (r.idle_over && !r.shielded))) || (rescuable && why != idle)) ->
     ok = allowed; r.state = draining; r.cause = why; r.grace_over = false; r.idle_over = false;
#ifndef MUTANT_DRAIN_KEEPS_EPOCH
     epoch++;
#else
     if
     :: epoch == 0 -> epoch = 1
     :: else -> skip
     fi;
#endif
     r.epoch = epoch
  :: r.gen == (meant) && why == deleted && (r.state == pending || r.state == failed) -> ok = allowed; become_absent(deleted)
  :: r.gen == (meant) && why == deleted && r.state == starting -> ok = allowed; become_stopping(deleted)
  :: else -> ok = stale
  fi
}

/* `behind`: a gateway whose lease runs has not seen this drain. */
inline begin_stop(meant, behind) {
  if
  :: r.gen != (meant) || r.state != draining -> ok = stale
#ifndef MUTANT_STOP_WITHOUT_GRACE
  :: r.gen == (meant) && rescuable && !r.grace_over -> ok = busy
  :: r.gen == (meant) && r.state == draining && !(rescuable && !r.grace_over) && (behind) -> ok = busy
#else
  :: r.gen == (meant) && r.state == draining && (behind) -> ok = busy
#endif
  :: else -> ok = allowed; become_stopping(r.cause)
  fi
}

inline gone(meant) {
  if
#ifndef MUTANT_GONE_OF_ANY_GENERATION
  :: r.gen == (meant) && r.state == stopping -> ok = allowed; end_or_begin_next()
#else
  :: r.state == stopping -> ok = allowed; end_or_begin_next()
#endif
  :: else -> ok = stale
  fi
}

inline begin_absent() { r.state = absent; r.cause = none }
