/* Starts, crashes, a wiped store: two provisioners (each with its reconciler), a reaper, an operator who deletes, pods
   that fail and die, two gateways reduced to the routes that they may use.

   Checks
     one start    a generation is started once, unless its claim has ended or the store was wiped
     one pod      a pod becomes ready only if no other live pod has served or can still be sent requests
     no pod cut   nobody stops, or calls lost, a pod that its session serves from; begin_stop finds no gateway left
     its start    a start is given up only if its session does not wait for it any more
     converges    when nothing more happens, the record names exactly the pods that live, nobody waits for nothing,
                  and no orphan is left: after every crash, every lost lease, and a wiped store. That every run comes to
                  such an end is a search of its own (for cycles: there are none)

   Abstracted, and why that is sound
   - The number of things that happen is bounded (USERS, CRASHES, ...), so every run ends and what must hold "at last" is
     asserted where nothing more can happen. checker.py has the bounds that are run.
   - begin_stop succeeds only if no gateway that the store knows can use the route: this is what evict.pml shows.
     A gateway that the store does not know (it was wiped) serves on until its lease is over, or hears of the wipe.
   - Pushes to a provisioner may come at any time after what they tell, or never.
   - A claim's lease may end at any moment, not only for a provisioner that has died: it may be slow or cut off.
   - A pod's UID is its number here, its name the generation. SHARED=1: both provisioners see all pods (Kubernetes).
     SHARED=0: each has its own, and they die with it (the local runtime, on two machines).
   - A look at a record and the stop that follows it are one step. In the code a round trip lies between them.

   Outside
   - A wiped store breaks its connections: who calls it next has heard of the gap before. FLUSHALL under living
     connections is not in the model.
   - With SHARED=0 the store is not wiped: a provisioner cannot adopt what only another sees, so who comes first decides
     which pod a session has.
   - Nobody deletes a queued start in the moment between a wipe and the first look at the pods. */

#ifndef USERS
#define USERS 2      /* acquires */
#endif
#ifndef CRASHES
#define CRASHES 1    /* of provisioners and reapers */
#endif
#ifndef WIPES
#define WIPES 0
#endif
#ifndef ENDS
#define ENDS 1       /* drains, idle or deleted */
#endif
#ifndef DEATHS
#define DEATHS 1     /* pods that die or fail to start */
#endif
#ifndef EXPIRIES
#define EXPIRIES 1   /* claims whose lease ends */
#endif
#ifndef SHARED
#define SHARED 1
#endif
#define NP 2         /* provisioners */
#define NG 2
#define NU 3         /* pods ever; 0: none */
#ifndef MAXGEN
#define MAXGEN 2
#endif
#include "rules.pml"

mtype = { unborn, booting, running, ending, dead };                       /* a pod */
mtype = { nothing, claimed, waiting, publishing, unwanted, stopping_it, giving_back };   /* a provisioner's start */

byte users = USERS, crashes = CRASHES, wipes = WIPES, ends = ENDS, deaths = DEATHS, expiries = EXPIRIES;

mtype pod[NU + 1];
byte name[NU + 1];       /* generation */
byte host[NU + 1];       /* the provisioner that runs it */
bool served[NU + 1];     /* was ready in the store */
byte born;               /* pods so far */

mtype start[NP];
byte start_gen[NP];
byte start_uid[NP];
bool cancelled[NP];
bool reconciled[NP];     /* since it came up, and since the last gap */
bool suspected[NU + 1];  /* an orphan at an earlier look, the grace is running */
bool grace_over[NU + 1];
#ifdef MUTANT_PODS_BEFORE_RECORDS
byte listed[NP];
#endif
bool excused;            /* a claim's lease has ended, or its owner has died, or the store was wiped */
byte ended;              /* the highest generation that has ended: pushes of it may still come */

bool killed;             /* a reaper was */
bool reaping;            /* a reaper has been told to stop generation reap_gen */
byte reap_gen;

byte cached[NG];         /* the pod that requests may be sent to */
bool known[NG];
bool waits[NG];          /* requests are held */

#define sees(p, u)      (SHARED || host[u] == (p))
#define lives(u)        (pod[u] == booting || pod[u] == running || pod[u] == ending)
#define serving(u)      ((r.state == ready || r.state == draining) && r.uid == (u))
#define other_lives(u, v) (v != (u) && pod[v] == running && (served[v] || cached[0] == v || cached[1] == v))
#define blocks(g)       (known[g] && cached[g] != 0 && cached[g] == r.uid)
#define has_start(p)    (start[p] != nothing)

inline note_end() {
  if
  :: (r.state == absent || r.state == stopping) && r.gen > ended -> ended = r.gen
  :: else -> skip
  fi
}

/* The runtime's stop of a name, as provisioner or reaper p sees it; u is scratch. */
inline runtime_stop(p, its_name, u) {
  for (u : 1 .. NU) {
    if
    :: lives(u) && name[u] == (its_name) && sees(p, u) ->
       assert(!serving(u));                                                 /* no pod cut */
       pod[u] = ending
    :: else -> skip
    fi
  }
  u = 0
}

/* The same, of one pod: for who knows its UID. */
inline runtime_stop_uid(p, the_pod, u) {
#ifndef MUTANT_STOP_BY_NAME
  if
  :: lives(the_pod) && sees(p, the_pod) ->
     assert(!serving(the_pod));                                             /* no pod cut */
     pod[the_pod] = ending
  :: else -> skip
  fi
#else
  runtime_stop(p, name[the_pod], u)
#endif
}

#define named(u, its_name, p) (lives(u) && name[u] == (its_name) && sees(p, u))
#define any_named(its_name, p) (named(1, its_name, p) || named(2, its_name, p) || named(3, its_name, p))

#define ends_(u, its_name, p) (pod[u] == ending && named(u, its_name, p))
#define any_ending(its_name, p) (ends_(1, its_name, p) || ends_(2, its_name, p) || ends_(3, its_name, p))

/* A start that was ended leaves a record without a UID: only then it is the provisioner who knows that nothing is left. */
#ifndef MUTANT_GONE_WITH_ANOTHERS_POD
#define may_give_back (r.uid == 0)
#else
#define may_give_back true
#endif

inline check_one_pod(u) {
  assert(!other_lives(u, 1) && !other_lives(u, 2) && !other_lives(u, 3))   /* one pod */
}

inline forget_start(p) {
  start[p] = nothing; start_gen[p] = 0; start_uid[p] = 0; cancelled[p] = false
}

/* The reconciler's verdict (judge in lifecycle/reconciler.cpp): the record was lost, or begun anew since. */
#define to_adopt(u) (pod[u] == running && may_adopt(name[u]))
#define is_orphan(u) ((r.gen < name[u] && !to_adopt(u)) || \
                      (r.gen == name[u] && ((r.state == absent || r.state == failed) || \
                                            ((r.state == ready || r.state == draining) && r.uid != u))))
/* Of several pods of a session, each of which could be adopted, the newest. */
#ifndef MUTANT_ADOPT_ANY
#define newer(u, its, p) (pod[u] == running && sees(p, u) && name[u] > name[its])
#define newest(p, its) (!newer(1, its, p) && !newer(2, its, p) && !newer(3, its, p))
#else
#define newest(p, its) true
#endif
#ifndef MUTANT_NO_ORPHAN_GRACE
#define orphan_may_go(u) grace_over[u]
#else
#define orphan_may_go(u) true
#endif
/* A look that finds what an earlier one has found, while nothing has changed, does nothing. */
#define is_news(u) ((is_orphan(u) && (!suspected[u] || grace_over[u])) || (!is_orphan(u) && suspected[u]) || \
                    r.gen > name[u] || (to_adopt(u) && newest(p, u)))

/* The record is looked up again for each pod: the look and what follows are one step (adopt is one by itself). */
inline judge_and_settle(p, its, u) {
  if
  :: r.gen > name[its] ->
     printf("provisioner %d removes pod %d, generation %d: outlived\n", p, its, name[its]);
     runtime_stop_uid(p, its, u)
  :: r.gen <= name[its] && is_orphan(its) && orphan_may_go(its) ->
     printf("provisioner %d removes pod %d, generation %d: an orphan\n", p, its, name[its]);
     runtime_stop_uid(p, its, u)
  :: r.gen <= name[its] && is_orphan(its) && !orphan_may_go(its) -> suspected[its] = true
  :: to_adopt(its) && newest(p, its) ->
     adopt(name[its], its);
     printf("store: adopt of generation %d, pod %d, by provisioner %d\n", r.gen, its, p);
     check_one_pod(its);
     served[its] = true; suspected[its] = false; grace_over[its] = false; ok = 0
  :: else -> suspected[its] = false; grace_over[its] = false
  fi
}

/* Provisioner p gives its start up. */
inline cancel(p, u) {
  printf("provisioner %d gives up its start of generation %d\n", p, start_gen[p]);
  assert(!(r.state == starting && r.gen == start_gen[p] && r.owner == p + 1));   /* its start */
  cancelled[p] = true;
  runtime_stop(p, start_gen[p], u)
}

#define booting_(u) ((pod[u] == booting || pod[u] == running) && name[u] == start_gen[p])
#define each_pod(option) option(1) option(2) option(3)

#define to_be_adopted(p, u) (sees(p, u) && to_adopt(u))

proctype provisioner(byte p) {
  byte u;
end:
  do
  /* --- a start --- */
#ifndef MUTANT_CLAIM_BEFORE_RECONCILING
#define may_claim (start[p] == nothing && reconciled[p])
#else
#define may_claim (start[p] == nothing)
#endif
  :: d_step { may_claim && (r.state == pending || (r.state == starting && r.claim_over)) ->
       claim(p + 1);
       printf("store: claim of generation %d by provisioner %d\n", r.gen, p);
       start[p] = claimed; start_gen[p] = r.gen; ok = 0 }
#ifdef MUTANT_CLAIM_WITHOUT_LEASE
  :: d_step { may_claim && r.state == starting && r.owner != p + 1 ->
       claim(p + 1);
       printf("store: claim of generation %d by provisioner %d\n", r.gen, p);
       start[p] = claimed; start_gen[p] = r.gen; ok = 0 }
#endif
  :: d_step { start[p] == claimed && !cancelled[p] && !any_ending(start_gen[p], p) ->
       /* Runtime::start: the same name again adopts what is there. */
       for (u : 1 .. NU) {
         if
         :: named(u, start_gen[p], p) && start_uid[p] == 0 -> start_uid[p] = u
         :: else -> skip
         fi
       }
       u = 0;
       if
       :: start_uid[p] == 0 && born < NU ->
          assert(excused || (!booting_(1) && !booting_(2) && !booting_(3)));     /* one start */
          born++; start_uid[p] = born; pod[born] = booting; name[born] = start_gen[p]; host[born] = p;
          printf("runtime: provisioner %d starts pod %d, generation %d\n", p, born, start_gen[p]);
          start[p] = waiting
       :: start_uid[p] != 0 ->
          printf("runtime: provisioner %d adopts pod %d, generation %d\n", p, start_uid[p], start_gen[p]);
          start[p] = waiting
       :: else -> start[p] = waiting                                            /* the bound of the model: fails */
       fi }
  :: d_step { start[p] == claimed && cancelled[p] -> start[p] = giving_back }

  :: d_step { start[p] == waiting && start_uid[p] != 0 && pod[start_uid[p]] == running ->
       if
       :: cancelled[p] -> start[p] = unwanted
       :: else -> start[p] = publishing
       fi }
  :: atomic { start[p] == waiting && (start_uid[p] == 0 || pod[start_uid[p]] == dead) ->
       if
       :: !cancelled[p] ->
          publish_failed(start_gen[p]);
          if
          :: ok == allowed ->
             printf("store: publish_failed of generation %d by provisioner %d\n", start_gen[p], p); forget_start(p)
          :: else -> start[p] = giving_back
          fi
       :: start_uid[p] != 0 || cancelled[p] -> start[p] = giving_back                            /* it was stopped by somebody */
       fi;
       ok = 0 }
  :: d_step { start[p] == publishing ->
       publish_ready(start_gen[p], start_uid[p]);
       if
       :: ok == allowed ->
          printf("store: publish_ready of generation %d, pod %d, by provisioner %d\n", start_gen[p], start_uid[p], p);
          check_one_pod(start_uid[p]);
          served[start_uid[p]] = true;
          forget_start(p)
       :: ok != allowed && r.gen == start_gen[p] && serving(start_uid[p]) -> forget_start(p)
       :: else -> start[p] = unwanted
       fi;
       ok = 0 }
  :: d_step { start[p] == unwanted ->
       if
       :: r.state == starting && r.gen == start_gen[p] && !cancelled[p] -> forget_start(p)
#ifndef MUTANT_STOPS_POD_OF_LOST_RECORD
       :: r.gen < start_gen[p] || serving(start_uid[p]) -> forget_start(p)      /* a reconciler's to adopt, or adopted */
#endif
       :: else ->
          printf("provisioner %d stops pod %d, which came too late\n", p, start_uid[p]);
          runtime_stop_uid(p, start_uid[p], u); start[p] = stopping_it
       fi }
  :: d_step { start[p] == stopping_it && !lives(start_uid[p]) -> start[p] = giving_back }
  :: d_step { start[p] == giving_back ->
       if
       :: may_give_back ->
          printf("store: gone, generation %d, by provisioner %d\n", start_gen[p], p);
          gone(start_gen[p]); note_end()
       :: else -> skip
       fi;
       forget_start(p); ok = 0 }
  /* --- its start is given up: a push, or renew --- */
  :: d_step { (start[p] == claimed || start[p] == waiting) && !cancelled[p] && ended >= start_gen[p] ->
       cancel(p, u) }
#ifdef MUTANT_PUSH_OF_ANY_GENERATION
  :: d_step { (start[p] == claimed || start[p] == waiting) && !cancelled[p] && ended > 0 && ended < start_gen[p] ->
       cancel(p, u) }
#endif
#ifndef MUTANT_LOST_CLAIM_STOPS_POD
#define has_ended(p) (r.gen > start_gen[p] || (r.gen == start_gen[p] && \
                      (r.state == stopping || r.state == absent || r.state == failed)))
#else
#define has_ended(p) true
#endif
  :: d_step { (start[p] == claimed || start[p] == waiting) && !cancelled[p] &&
              !(r.state == starting && r.owner == p + 1) && has_ended(p) ->
       renew(p + 1);
       if
       :: ok == stale -> cancel(p, u)
       :: else -> skip
       fi;
       ok = 0 }
  /* --- the reconciler --- */
#ifndef MUTANT_JUDGES_ITS_OWN_STARTS
#define starting_here(p) has_start(p)
#else
#define starting_here(p) false
#endif
  :: d_step { !reconciled[p] && !to_be_adopted(p, 1) && !to_be_adopted(p, 2) && !to_be_adopted(p, 3) ->
       reconciled[p] = true }
#define settle_pod(its) \
  :: d_step { !starting_here(p) && (pod[its] == booting || pod[its] == running) && sees(p, its) && is_news(its) -> \
       judge_and_settle(p, its, u) }
#ifndef MUTANT_NO_RECONCILER
  each_pod(settle_pod)
#endif
#ifndef MUTANT_LOST_WITHOUT_UID
#define is_its(u) (r.uid == u)
#else
#define is_its(u) true
#endif
#define settle_missing(u) \
  :: d_step { pod[u] == dead && sees(p, u) && r.gen == name[u] && (r.state == ready || r.state == draining) && is_its(u) -> \
       printf("store: lost, generation %d, pod %d\n", name[u], u); \
       assert(pod[r.uid] == dead); \
       lost(name[u], u); note_end(); ok = 0 }
#ifndef MUTANT_MISSING_PODS_ARE_NOT_TOLD
  each_pod(settle_missing)                                                  /* no pod cut */
#endif
#ifdef MUTANT_PODS_BEFORE_RECORDS
  :: d_step { listed[p] != born + 1 -> listed[p] = born + 1 }
  :: d_step { listed[p] != 0 && r.state == ready && r.uid >= listed[p] ->
       printf("store: lost, generation %d, pod %d\n", r.gen, r.uid);
       assert(pod[r.uid] == dead);                                          /* no pod cut */
       skip }
#endif
  /* --- it is killed and comes back under another name --- */
  :: d_step { crashes > 0 && (has_start(p) || !SHARED) ->
       printf("provisioner %d is killed and comes back\n", p);
       crashes--; forget_start(p); reconciled[p] = false;
       for (u : 1 .. NU) {
         if
         :: !SHARED && lives(u) && host[u] == p -> pod[u] = dead
         :: else -> skip
         fi
       }
       u = 0 }
  od
}

/* It was killed in the middle: the claim ends, and another takes it. */
#define owner_has_it(p) (r.owner == p + 1 && start[p] != nothing && start_gen[p] == r.gen)

proctype reaper() {
  byte u;
end:
  do
  :: d_step { ends > 0 && r.state == ready && !r.shielded ->
       printf("store: drain of generation %d, idle\n", r.gen);
       ends--; r.idle_over = true; drain(r.gen, idle); ok = 0 }
  /* Not a start that is queued in the moment between a wipe and the first look at the pods: that start is none. */
  :: d_step { ends > 0 && r.state != absent && r.state != stopping && !(r.state == draining && r.cause == deleted) &&
              (r.state != pending || (reconciled[0] && reconciled[1])) ->
       printf("store: drain of generation %d, deleted\n", r.gen);
       ends--; drain(r.gen, deleted); note_end(); ok = 0 }
  :: d_step { r.state == draining && !blocks(0) && !blocks(1) ->
       printf("store: begin_stop of generation %d\n", r.gen);
       assert(r.cause != idle || (cached[0] != r.uid && cached[1] != r.uid));   /* no pod cut */
       r.grace_over = true; begin_stop(r.gen, false); note_end(); ok = 0 }
  /* A reaper has begun it, or finds it due because whoever stopped it is late. It may be killed at any step. */
#ifndef MUTANT_STOP_IS_NOT_REPEATED
#define may_reap true
#else
#define may_reap !killed
#endif
  :: d_step { r.state == stopping && !reaping && may_reap -> reaping = true; reap_gen = r.gen }
  :: d_step { reaping && crashes > 0 -> printf("the reaper is killed\n"); crashes--; reaping = false; reap_gen = 0; killed = true }
#define any_left (any_named(reap_gen, 0) || any_named(reap_gen, 1))
#define any_told (any_ending(reap_gen, 0) || any_ending(reap_gen, 1))
  :: d_step { reaping && any_left && !any_told ->
       printf("runtime: the reaper stops generation %d\n", reap_gen);
       runtime_stop(0, reap_gen, u);
       if
       :: !SHARED -> runtime_stop(1, reap_gen, u)
       :: else -> skip
       fi }
#ifndef MUTANT_GONE_BEFORE_STOPPED
  :: d_step { reaping && !any_left ->
#else
  :: d_step { reaping ->
#endif
       printf("store: gone, generation %d, by the reaper\n", reap_gen);
       gone(reap_gen); note_end(); reaping = false; reap_gen = 0; ok = 0 }
  od
}

inline hear(g) {
  waits[g] = true;
  if
  :: ask_ready -> cached[g] = r.uid; waits[g] = false
  :: r.state == failed || r.state == absent -> waits[g] = false          /* the reason; or the bound of the model */
  :: else -> skip
  fi;
  ok = 0
}
inline forget_suspicion(u) { suspected[u] = false; grace_over[u] = false }

proctype world() {
end:
  do
#define pod_step(u) \
  :: d_step { pod[u] == booting -> pod[u] = running } \
  :: d_step { pod[u] == ending -> printf("pod %d has ended\n", u); pod[u] = dead; forget_suspicion(u) } \
  :: d_step { deaths > 0 && (pod[u] == booting || pod[u] == running) -> \
       printf("pod %d dies by itself\n", u); deaths--; pod[u] = dead; forget_suspicion(u) } \
  :: d_step { suspected[u] && !grace_over[u] && lives(u) -> grace_over[u] = true }
  each_pod(pod_step)
  :: d_step { r.state == starting && !r.claim_over && expiries > 0 ->
       printf("time: the claim of generation %d is over\n", r.gen); expiries--; excused = true; r.claim_over = true }
#ifndef MUTANT_CLAIM_OF_THE_DEAD_STAYS
  :: d_step { r.state == starting && !r.claim_over && !owner_has_it(0) && !owner_has_it(1) ->
       printf("time: the claim of generation %d is over, its owner is gone\n", r.gen); excused = true; r.claim_over = true }
#endif
  :: d_step { r.state == failed && !r.retry_over -> r.retry_over = true }
  /* --- gateways --- */
#define gateway_step(g) \
  :: d_step { users > 0 && known[g] && !waits[g] && cached[g] == 0 -> \
       printf("store: acquire by gateway %d\n", g); users--; acquire(); hear(g) } \
  :: d_step { waits[g] && known[g] && (r.state == ready || r.state == failed || r.state == absent) -> \
       printf("store: acquire by gateway %d, again\n", g); acquire(); hear(g) } \
  :: d_step { cached[g] != 0 && (pod[cached[g]] != running || r.uid != cached[g] || r.state == draining) -> cached[g] = 0 } \
  :: d_step { !known[g] -> \
       printf("gateway %d hears of the wipe, and beats\n", g); known[g] = true }
  gateway_step(0)
  gateway_step(1)
  :: d_step { r.shielded && !(!known[0] && cached[0] != 0) && !(!known[1] && cached[1] != 0) -> r.shielded = false }
  :: d_step { wipes > 0 ->
       printf("store: WIPED\n");
       wipes--; excused = true; begin_absent();
       r.gen = 0; r.uid = 0; r.owner = 0; r.epoch = 0; r.wanted = false; r.claim_over = false; r.idle_over = false;
       r.grace_over = false; r.retry_over = false; r.shielded = false; epoch = 0;
       known[0] = false; known[1] = false; reconciled[0] = false; reconciled[1] = false;
       ended = 0; reaping = false; reap_gen = 0 }
  od
}

#define at_home(u) (!lives(u) || ((r.state == ready || r.state == draining) && r.uid == u))

init {
  atomic {
    begin_absent();
    byte i;
    for (i : 0 .. NU) { pod[i] = unborn }
    for (i : 0 .. NP - 1) { start[i] = nothing; reconciled[i] = true; known[i] = true }
    i = 0;
    if
    :: true
    :: r.state = ready; r.gen = 2; r.uid = 1; born = 1; pod[1] = running; name[1] = 2; served[1] = true;
       cached[0] = 1; ended = 1
    fi;
    run provisioner(0); run provisioner(1); run reaper(); run world()
  }
  timeout ->
  assert(at_home(1) && at_home(2) && at_home(3));                           /* converges */
  assert(!waits[0] && !waits[1]);                                           /* converges */
  assert(r.state == absent || r.state == failed || r.state == ready);       /* converges */
  assert(r.state != ready || pod[r.uid] == running)                         /* converges */
}
