/* The waiting room (proxy/hold): two requests of one gateway wait for a session's pod; pushes come late, out of step with
   the answers, or are lost with a gap; calls to the store fail; the pod's start fails, the pod dies, the session is
   drained, deleted, wiped.

   Checks
     woken      a request that may start a pod is never told that the pod is asleep, whoever waits beside it
     answered   every held request is answered: by the pod, by the reason why there is none, or by its deadline. The
                deadline is left out here: the model shows more, that no request has to wait for it once pushes and
                calls get through (ltl answered, under weak fairness)

   Abstracted, and why that is sound
   - What happens to the session is bounded (EVENTS), as are failed calls and lost pushes (FAULTS): for ever new ones no
     promise but the deadline's holds.
   - The second request may not start a pod (wake policy), the first may. Nothing is remembered of how a pod ended
     (a lost one is started for anybody): the second is refused more often here than by the store.
   - The provisioner's side is one step each (start.pml has it in full), begin_stop needs no acknowledgement (evict.pml).
   - Pushes arrive in order, until the link breaks: then some are lost, and a gap is told when it is back. */

#ifndef EVENTS
#define EVENTS 2   /* failures, deaths, drains, deletes, wipes */
#endif
#ifndef FAULTS
#define FAULTS 1   /* calls that fail, links that break */
#endif
#define MAXGEN 3
#define QUEUE 4    /* pushes under way; one more breaks the link, as Redis does with slow subscribers */
#include "rules.pml"

mtype = { outside, held, served, told };     /* a request */
mtype = { no_call, sent, answered_ };        /* the room's acquire */

chan pushes = [QUEUE] of { mtype, byte, mtype };   /* state, generation, cause */
bool gap;                  /* pushes were lost, and the room has not been told */
byte events = EVENTS, faults = FAULTS;

mtype request[2];
bool answered;             /* the store's answer stands until a push */
bool asking;
bool ask_again;
mtype heard_state;         /* as last heard from the store */
byte heard_gen;
mtype call;
mtype answer_state;
byte answer_gen;
bool answer_wanted;
bool may_start;            /* of the room: one of those who wait may */
bool call_may_start;       /* of its call */
bool stray_may_start;
bool stray;                /* the call of a room that has been closed */

#define anyone (request[0] == held || request[1] == held)

inline break_link() {
  do
  :: nempty(pushes) -> pushes?_, _, _
  :: empty(pushes) -> break
  od;
  gap = true
}

mtype was_state, was_cause;
byte was_gen;

/* What commit() pushes, unless state, generation and cause are as before. */
inline push_if_new() {
  if
  :: r.state == was_state && r.gen == was_gen && r.cause == was_cause -> skip
  :: !(r.state == was_state && r.gen == was_gen && r.cause == was_cause) ->
     if
     :: nfull(pushes) && !gap -> pushes!r.state, r.gen, r.cause
     :: full(pushes) || gap -> break_link()
     fi
  fi;
  was_state = r.state; was_gen = r.gen; was_cause = r.cause; ok = 0
}
/* The room is closed. Its call goes on, but nobody hears the answer: the next room asks by itself. */
inline leave_room() {
  may_start = false;
  stray_may_start = ((stray && stray_may_start) || (call == sent && call_may_start)); call_may_start = false; answer_wanted = false;
  stray = (stray || call == sent);
  call = no_call; answer_state = 0; answer_gen = 0;
  answered = false; asking = false; ask_again = false; heard_state = 0; heard_gen = 0
}

inline settle(how) {
  if
  :: request[0] == held -> request[0] = how
  :: else -> skip
  fi;
  if
  :: request[1] == held -> request[1] = how
  :: else -> skip
  fi;
  leave_room()
}

inline ask() {
  answered = false;
#ifndef MUTANT_PUSH_WHILE_ASKING_IS_FORGOTTEN
  ask_again = asking;
#endif
  asking = true
}

/* `who_may`: for a request that may start a pod. */
inline ask_store(who_may) {
  if
  :: !(who_may) && (r.state == absent || (r.state == failed && r.retry_over) || r.state == stopping ||
                    (r.state == draining && r.cause != idle)) -> ok = allowed
  :: else -> acquire()
  fi
}

inline heard() {
  heard_state = answer_state; heard_gen = answer_gen;
  if
  :: answer_state == ready -> settle(served)
  :: answer_state == failed -> settle(told)
  :: answer_state == absent || (answer_state == stopping && !answer_wanted) ->
     printf("room: sleeps\n");
     assert(request[0] != held || answer_gen == MAXGEN);              /* woken */
     settle(told)
  :: else -> skip
  fi
}

#define was_starting (heard_state == pending || heard_state == starting)

proctype room() {
  mtype state, cause;
  byte gen;
  do
  /* --- requests come --- */
  :: d_step { request[0] == outside ->
       printf("room: a request comes that may wake\n");
       request[0] = held;
#ifndef MUTANT_WAKING_REQUEST_IS_NOT_TOLD
       if
       :: !may_start -> may_start = true; answered = false
       :: else -> skip
       fi;
#endif
       if
       :: !answered -> ask()
       :: else -> skip
       fi }
  :: d_step { request[1] == outside ->
       printf("room: a request comes that may not wake\n");
       request[1] = held;
       if
       :: !answered -> ask()
       :: else -> skip
       fi }
  /* --- the first of them leaves: its client has gone --- */
  :: d_step { request[0] == held && faults > 0 ->
       printf("room: the first request leaves\n");
       request[0] = told; faults--;
#ifdef MUTANT_ASKING_BELONGS_TO_FIRST
       asking = false; answered = true; call = no_call;
#endif
       if
       :: !anyone -> leave_room()
       :: else -> skip
       fi }
  /* --- the asking --- */
  :: d_step { asking && call == no_call && anyone -> ask_again = false; call = sent; call_may_start = may_start }
  :: d_step { call == sent ->
       printf("store: acquire\n");
       ask_store(call_may_start);
       answer_state = r.state; answer_gen = r.gen; answer_wanted = r.wanted; call = answered_; push_if_new() }
  :: d_step { call == answered_ ->
       call = no_call;
       if
       :: ask_again -> skip                                          /* nobody knows which is younger: once more */
       :: !ask_again ->
          printf("room: hears %e, generation %d\n", answer_state, answer_gen);
          asking = false; answered = true; heard()
       fi;
       answer_state = 0; answer_gen = 0; answer_wanted = false; call_may_start = false }
  :: d_step { stray ->
       printf("store: acquire of a room that has been closed\n");
       ask_store(stray_may_start); stray = false; stray_may_start = false; push_if_new() }
  :: d_step { call == sent && faults > 0 -> printf("room: its call fails\n"); faults--; call = no_call; call_may_start = false;
#ifdef MUTANT_FAILED_CALL_IS_NOT_REPEATED
       asking = false; answered = true
#endif
     }
  :: d_step { call == answered_ && faults > 0 ->
       printf("room: the answer is lost\n"); faults--; call = no_call; answer_state = 0; answer_gen = 0;
       answer_wanted = false; call_may_start = false }
  /* --- pushes --- */
  :: d_step { nempty(pushes) ->
       pushes?state, gen, cause;
       if
       :: !anyone -> skip
       :: anyone && answered && gen == heard_gen && was_starting && state == starting -> heard_state = starting
       :: anyone && answered && gen == heard_gen && was_starting && state != starting && cause == deleted ->
          printf("room: its start was ended\n"); settle(told)
       :: anyone && answered && !(gen == heard_gen && was_starting && (state == starting || cause == deleted)) &&
          gen <= heard_gen && state == pending -> skip
       :: else ->
          ask()
       fi;
       state = 0; gen = 0; cause = 0 }
  :: d_step { gap && empty(pushes) ->
       printf("room: a gap\n");
       gap = false;
#ifndef MUTANT_GAP_IS_IGNORED
       if
       :: anyone -> ask()
       :: else -> skip
       fi
#endif
     }
  od
}

/* Provisioner and reaper do their work; each step happens sooner or later. */
proctype lifecycle() {
  do
  :: d_step { r.state == pending -> printf("store: claim\n"); claim(1); push_if_new() }
  :: d_step { r.state == starting -> printf("store: publish_ready\n"); publish_ready(r.gen, r.gen); push_if_new() }
  :: d_step { r.state == draining -> r.grace_over = true; begin_stop(r.gen, false); push_if_new() }
  :: d_step { r.state == stopping -> printf("store: gone\n"); gone(r.gen); push_if_new() }
  :: d_step { r.state == failed && !r.retry_over -> r.retry_over = true }
  od
}

proctype world() {
  do
  :: d_step { events > 0 && r.state == starting -> printf("store: publish_failed\n"); events--;
       publish_failed(r.gen); push_if_new() }
  :: d_step { events > 0 && r.state == ready -> printf("store: lost\n"); events--; lost(r.gen, r.uid); push_if_new() }
  :: d_step { events > 0 && r.state == ready -> printf("store: drain, idle\n"); events--;
       r.idle_over = true; drain(r.gen, idle); push_if_new() }
  :: d_step { events > 0 && r.state != absent && r.state != stopping && r.state != draining ->
       printf("store: drain, deleted\n"); events--;
       drain(r.gen, deleted); push_if_new() }
  :: d_step { events > 0 && r.state != absent -> printf("store: WIPED\n"); events--;
       begin_absent(); r.gen = 0; r.uid = 0; r.owner = 0; r.epoch = 0; r.wanted = false; r.idle_over = false;
       r.grace_over = false; r.retry_over = false;
       was_state = absent; was_gen = 0; was_cause = none;
       break_link() }
  :: d_step { faults > 0 && nempty(pushes) -> printf("the link of the pushes breaks\n"); faults--; break_link() }
  :: events == 0 && faults == 0 -> break
  od
}

init {
  atomic {
    begin_absent(); was_state = absent; was_cause = none;
    request[0] = outside; request[1] = outside; call = no_call;
    run room(); run lifecycle(); run world()
  }
}

ltl answered { [] ((request[0] == held -> <> (request[0] != held)) && (request[1] == held -> <> (request[1] != held))) }
