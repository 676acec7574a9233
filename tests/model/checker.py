"""Runs the models of this folder with spin: what each run and each mutant is, and what came out of it.

Called by test_model.py and write_docs.py. A result is computed once per process. Needs spin and gcc.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MEGABYTES = 6_000  # one run takes no more
SECONDS = 600
DEPTH = 400_000

COMPILE = ["gcc", "-w", f"-DMEMLIM={MEGABYTES}"]


@dataclasses.dataclass(frozen=True)
class Run:
    """One exhaustive search with all guards on."""

    name: str
    model: str
    defines: tuple[str, ...]
    what: str
    search: str = "safety"  # safety; ltl: with weak fairness; cycles: every run of the model ends
    deep: bool = False      # not in ./dev test

    @property
    def bounds(self) -> str:
        return " ".join(self.defines)


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One guard switched off. `unneeded`: the invariants hold without it, and why it is there all the same."""

    name: str
    model: str
    defines: tuple[str, ...]
    guard: str
    unneeded: str = ""

    @property
    def macro(self) -> str:
        return "MUTANT_" + self.name.upper()


@dataclasses.dataclass(frozen=True)
class Result:
    errors: int
    complete: bool
    states: int
    transitions: int
    depth: int
    megabytes: float
    seconds: float
    unreached: frozenset[str]
    story: tuple[str, ...]  # the counterexample: its named steps
    violated: str
    output: str


def quiet(**bounds: int) -> tuple[str, ...]:
    """Bounds of start.pml: nothing happens but what is said."""
    all_bounds = {"USERS": 2, "CRASHES": 0, "WIPES": 0, "ENDS": 0, "DEATHS": 0, "EXPIRIES": 0, **bounds}
    return tuple(f"{name}={value}" for name, value in all_bounds.items())


EVICT = ("NG=1", "MAXGEN=2", "MAXEPOCH=2")
EVICT_SMALL = ("NG=1", "MAXGEN=2", "MAXEPOCH=1")

RUNS = [
    Run("evict", "evict", EVICT, "eviction against return, one gateway in full and any number of others"),
    Run("start-shared", "start", quiet(CRASHES=1, ENDS=1, DEATHS=1),
        "starts and ends on a runtime that both provisioners see; a crash, a death"),
    Run("start-late", "start", quiet(ENDS=1, DEATHS=1, EXPIRIES=1),
        "the same, with a claim whose lease ends while its owner lives"),
    Run("start-own", "start", ("SHARED=0", *quiet(CRASHES=1, ENDS=1, DEATHS=1, EXPIRIES=1)),
        "each provisioner has pods of its own, which die with it"),
    Run("start-wiped", "start", quiet(WIPES=1, ENDS=1), "the store is wiped while sessions start, run and end"),
    Run("start-wiped-crash", "start", quiet(WIPES=1, CRASHES=1, DEATHS=1), "the store is wiped, pods and roles die"),
    Run("start-ends", "start", quiet(CRASHES=1, ENDS=1, EXPIRIES=1), "start.pml ends in every run: no cycle",
        search="cycles"),
    Run("start-wiped-ends", "start", quiet(WIPES=1, DEATHS=1), "the same with a wiped store", search="cycles"),
    Run("hold-faults", "hold", ("EVENTS=1", "FAULTS=2"), "the waiting room; calls fail, pushes are lost", search="ltl"),
    Run("hold-events", "hold", ("EVENTS=2", "FAULTS=0"), "the waiting room; sessions fail, die, end, are wiped",
        search="ltl"),
    Run("evict-epochs", "evict", ("NG=1", "MAXGEN=2", "MAXEPOCH=3"), "one drain more", deep=True),
    Run("start-shared-late", "start", quiet(CRASHES=1, ENDS=1, DEATHS=1, EXPIRIES=1), "all of them together", deep=True),
    Run("start-wiped-all", "start", quiet(WIPES=1, CRASHES=1, ENDS=1), "a wiped store, a crash and an end", deep=True),
    Run("hold-both", "hold", ("EVENTS=2", "FAULTS=1"), "events and faults together", search="ltl", deep=True),
]

MUTANTS = [
    # --- evict.pml ---
    Mutant("stop_waits_for_nobody", "evict", EVICT, "begin_stop waits until every gateway has seen the drain"),
    Mutant("seen_but_not_dropped", "evict", EVICT, "a gateway drops the route before it says that it has seen the drain"),
    Mutant("drain_keeps_epoch", "evict", EVICT, "every drain has an epoch of its own"),
    Mutant("beat_before_marks", "evict", EVICT, "the marks of a beat are carried out before its `seen`"),
    Mutant("beat_does_not_await_marks", "evict", EVICT, "a beat is sent when its marks have been answered"),
    Mutant("failed_beat_loses_marks", "evict", EVICT, "a beat that fails leaves its marks to the next"),
    Mutant("answers_out_of_order", "evict", EVICT, "answers are heard in the order in which the calls were carried out"),
    Mutant("push_is_the_answer", "evict", EVICT, "a push is a reason to ask, never the answer"),
    Mutant("mark_does_not_rescue", "evict", EVICT, "a mark rescues an idle drain"),
    Mutant("acquire_does_not_rescue", "evict", EVICT, "an acquire rescues an idle drain"),
    Mutant("no_lease_check", "evict", EVICT, "a cached route is used only while the gateway's lease runs"),
    Mutant("lease_from_answer", "evict", EVICT, "a lease counts from when the beat was sent, not from its answer"),
    Mutant("store_forgets_early", "evict", EVICT, "the store's lease is the longer one"),
    Mutant("leaves_and_serves_on", "evict", EVICT, "a gateway takes leave when it serves no more"),
    Mutant("routes_outlive_lease", "evict", EVICT, "routes are dropped when a lease begins anew after it had ended"),
    Mutant("redial_blindly", "evict", EVICT, "a connection that broke is dialled again only if its route still stands"),
    Mutant("address_does_not_rest", "evict", EVICT,
           "an address of a pod that died is given to another only when nobody can still be sent there"),
    Mutant("mark_of_any_generation", "evict", EVICT_SMALL, "a mark counts for its own generation only",
           unneeded="it could only keep a session for longer: no pod lives for the sake of what its predecessor did"),
    Mutant("stop_without_grace", "evict", EVICT_SMALL, "begin_stop waits for the grace of an idle drain",
           unneeded="the acknowledgements alone make a stop safe; the grace is a promise to users, and covers a WebSocket "
                    "that is silent for longer than a round trip"),
    # --- start.pml ---
    Mutant("claim_without_lease", "start", ("SHARED=0", *quiet()), "a claim excludes others while its lease runs"),
    Mutant("claim_of_the_dead_stays", "start", quiet(CRASHES=1), "a claim ends with its lease"),
    Mutant("ready_of_any_generation", "start", quiet(ENDS=1, EXPIRIES=1), "publish_ready names its generation"),
    Mutant("ready_in_any_state", "start", quiet(ENDS=1), "publish_ready finds the session starting"),
    Mutant("lost_without_uid", "start", quiet(ENDS=1, DEATHS=1, EXPIRIES=1), "lost names the pod's UID"),
    Mutant("gone_of_any_generation", "start", ("MAXGEN=3", *quiet(USERS=3, ENDS=2)), "gone names its generation"),
    Mutant("gone_before_stopped", "start", quiet(ENDS=1), "gone is said when nothing of the pod is left"),
    Mutant("gone_with_anothers_pod", "start", quiet(ENDS=1, DEATHS=1, EXPIRIES=1),
           "who gives up a start says gone only if the record has no pod"),
    Mutant("stop_is_not_repeated", "start", quiet(ENDS=1, CRASHES=1), "a stop is due again when whoever stops is late"),
    Mutant("push_of_any_generation", "start", quiet(ENDS=1), "a late push about an older generation ends no start"),
    Mutant("lost_claim_stops_pod", "start", quiet(EXPIRIES=1),
           "who has lost its claim leaves the pod to whoever has taken the start over"),
    Mutant("stop_by_name", "start", quiet(DEATHS=1, EXPIRIES=1), "who stops a pod that it knows means this UID"),
    Mutant("pods_before_records", "start", quiet(), "the reconciler reads the records before the pods"),
    Mutant("missing_pods_are_not_told", "start", quiet(DEATHS=1), "a pod that is not there any more is told as lost"),
    Mutant("no_reconciler", "start", quiet(WIPES=1), "the pods rebuild a wiped store"),
    Mutant("adopt_only_absent", "start", quiet(WIPES=1),
           "a start that was queued in a wiped store makes way for the pod that runs"),
    Mutant("claim_before_reconciling", "start", quiet(WIPES=1), "after a gap nothing is started before a look at the pods"),
    Mutant("adopt_any", "start", quiet(WIPES=1, ENDS=1), "of several pods of a session the newest is adopted"),
    Mutant("adopt_without_shield", "start", quiet(WIPES=1, ENDS=1),
           "an adopted session is busy for as long as gateways that the wiped store knew may serve it"),
    Mutant("stops_pod_of_lost_record", "start", quiet(WIPES=1),
           "a pod that became ready under a record that was lost is left to be adopted"),
    Mutant("no_orphan_grace", "start", quiet(WIPES=1, ENDS=1), "an orphan is removed after a grace",
           unneeded="without it a pod that is not ready yet when the store is wiped is thrown away and started again"),
    Mutant("judges_its_own_starts", "start", quiet(WIPES=1, ENDS=1), "the reconciler leaves the starts of its own process alone",
           unneeded="in the model the look at a record and the stop that follows are one step; in the code a round trip "
                    "lies between them, which this guard covers"),
    # --- hold.pml ---
    Mutant("push_while_asking_is_forgotten", "hold", ("EVENTS=1", "FAULTS=0"),
           "a push that comes while the room asks makes it ask again"),
    Mutant("gap_is_ignored", "hold", ("EVENTS=0", "FAULTS=1"), "after a gap every room asks again"),
    Mutant("failed_call_is_not_repeated", "hold", ("EVENTS=0", "FAULTS=1"), "a room whose call fails asks again"),
    Mutant("asking_belongs_to_first", "hold", ("EVENTS=0", "FAULTS=1"), "the asking belongs to the room, not to who came first"),
    Mutant("waking_request_is_not_told", "hold", ("EVENTS=0", "FAULTS=0"),
           "a room that slept asks again when somebody comes who may wake"),
]

SEARCHES = {
    # search: (compiler options, pan's options)
    "safety": (["-DSAFETY", "-DNOFAIR"], []),
    "ltl": (["-DNFAIR=2"], ["-a", "-f"]),
    "cycles": (["-DNP", "-DNOFAIR"], ["-l"]),
    "shortest": (["-DSAFETY", "-DNOFAIR", "-DBFS"], []),
}


def number(pattern: str, text: str, default: float = 0) -> float:
    found = re.search(pattern, text)
    return float(found.group(1)) if found else default


def unreached_lines(output: str) -> frozenset[str]:
    """proctype: the statement, without the ends of the endless loops."""
    found, where = set(), ""
    for line in output.splitlines():
        if line.startswith("unreached in"):
            where = line.removeprefix("unreached in ").strip()
        elif re.match(r"^\t\S+\.pml:\d+, state", line) and '"-end-"' not in line and where.startswith("proctype"):
            found.add(f"{where}: {line.strip()}")
    return frozenset(found)


def property_of(model: str, output: str) -> str:
    """The words beside the assertion that failed; the models have them as a comment at the end of its line."""
    failed = re.search(r"spin: (\S+\.pml):(\d+), Error: assertion violated", output)
    if not failed:
        return "answered (a held request waits for ever)" if model == "hold" else ""
    line = (HERE / failed.group(1)).read_text(encoding="utf-8").splitlines()[int(failed.group(2)) - 1]
    words = re.search(r"/\* ([^*]+?) \*/\s*\\?$", line)
    return words.group(1) if words else line.strip()


def tell(directory: pathlib.Path, model: str, defines: list[str]) -> tuple[tuple[str, ...], str]:
    """The named steps of the counterexample, and what they violate."""
    replay = subprocess.run(["spin", *defines, "-t", f"{model}.pml"], cwd=directory, capture_output=True, text=True,
                            timeout=SECONDS, check=False)
    steps = []
    for line in replay.stdout.splitlines():
        if re.match(r"^\s+(store|gateway|runtime|provisioner|reaper|room|time|pod|another|the) ?\S", line) and " = " not in line:
            steps.append(line.strip())
    return tuple(steps), property_of(model, replay.stdout)


@functools.lru_cache(maxsize=None)
def search(model: str, defines: tuple[str, ...], how: str) -> Result:
    options = [f"-D{define}" for define in defines]
    compile_options, pan_options = SEARCHES[how]
    with tempfile.TemporaryDirectory(prefix="alcove-model-") as name:
        directory = pathlib.Path(name)
        for file in HERE.glob("*.pml"):
            shutil.copy(file, directory)
        made = subprocess.run(["spin", *options, "-a", f"{model}.pml"], cwd=directory, capture_output=True, text=True,
                              timeout=SECONDS, check=False)
        if made.returncode != 0 or not (directory / "pan.c").exists():
            raise RuntimeError(f"spin does not take {model}.pml {options}:\n{made.stdout}{made.stderr}")
        # A counterexample is found long before the optimiser has paid for itself.
        optimise = "-O0" if how == "shortest" else "-O2"
        subprocess.run([*COMPILE, optimise, *compile_options, "-o", "pan", "pan.c"], cwd=directory, check=True,
                       timeout=SECONDS)
        depth = [] if how == "shortest" else [f"-m{DEPTH}"]
        begun = time.monotonic()
        ran = subprocess.run(["nice", "./pan", *pan_options, *depth, "-w22"], cwd=directory, capture_output=True,
                             text=True, timeout=SECONDS, check=False)
        seconds = time.monotonic() - begun
        output = ran.stdout + ran.stderr
        errors = int(number(r"errors: (\d+)", output, -1))
        story, violated = tell(directory, model, options) if errors > 0 else ((), "")
    cut = ("max search depth too small", "Search not completed", "out of memory", "hash table full")
    return Result(errors=errors, complete=errors == 0 and not any(sign in output for sign in cut),
                  states=int(number(r"([\d.e+]+) states, stored", output)),
                  transitions=int(number(r"([\d.e+]+) transitions", output)),
                  depth=int(number(r"depth reached (\d+)", output)),
                  megabytes=number(r"([\d.]+)\ttotal actual memory usage", output), seconds=seconds,
                  unreached=unreached_lines(output), story=story, violated=violated, output=output)


def run(one: Run) -> Result:
    return search(one.model, one.defines, one.search)


def run_mutant(mutant: Mutant) -> Result:
    how = "ltl" if mutant.model == "hold" else "safety" if mutant.unneeded else "shortest"
    return search(mutant.model, (*mutant.defines, mutant.macro), how)
