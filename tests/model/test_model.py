"""The session protocol holds in every run of its models, each of its guards is needed, and the models speak of the
transitions that the stores have. The whole group takes about three minutes on one core.

    /usr/bin/python3 -m pytest tests/model              what ./dev test runs
    /usr/bin/python3 -m pytest tests/model -m deep      larger bounds: some minutes more
"""

from __future__ import annotations

import re

import pytest

import report
from checker import HERE, MUTANTS, RUNS, run, run_mutant

ROOT = HERE.parents[1]

# What the stores do and the models do not, and why.
UNMODELLED = {
    "lookup": "reads; the models read the record where the code looks it up",
    "list": "reads, in pages; the reconciler's look at the records is one step of start.pml",
    "place": "reads",
    "due": "says what a reaper has to look at; the model's reaper looks at everything, at any moment",
    "pin": "forbids an idle drain: fewer runs, all of them among those of the model",
    "busy": "forbids an idle drain for a while, or rescues one as a mark does: the same runs",
}
# A call of the Store that is several scripts, or a rule of another name.
CALLS = {"beat": {"beat", "marks"}}
RULES = {"marks": "mark", "due": "hand_out_due"}
# Kept by the backends beside the records; their rules are in the backend and not in transitions.hpp.
WITHOUT_RULE = {"beat", "leave", "renew", "list", "place"}


@pytest.mark.parametrize("one", [one for one in RUNS if not one.deep], ids=lambda one: one.name)
def test_protocol_holds(one):
    result = run(one)
    assert result.errors == 0, "\n".join((f"{result.violated} is violated:", *result.story, result.output[-2000:]))
    assert result.complete, f"the search was cut short:\n{result.output}"
    assert result.states > 1000


@pytest.mark.deep
@pytest.mark.parametrize("one", [one for one in RUNS if one.deep], ids=lambda one: one.name)
def test_protocol_holds_in_larger_bounds(one):
    test_protocol_holds(one)


@pytest.mark.parametrize("model", sorted({one.model for one in RUNS}))
def test_every_step_of_a_model_is_taken(model):
    never = None
    for one in RUNS:
        if one.model != model or one.deep or one.search == "cycles":
            continue
        unreached = run(one).unreached
        never = unreached if never is None else never & unreached
    assert not never, "no run comes here:\n" + "\n".join(sorted(never))


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if not mutant.unneeded], ids=lambda mutant: mutant.name)
def test_guard_is_needed(mutant):
    result = run_mutant(mutant)
    assert result.errors == 1, f"without it ({mutant.guard}) no invariant is violated:\n{result.output[-2000:]}"
    assert result.violated
    assert result.story


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.unneeded], ids=lambda mutant: mutant.name)
def test_guard_is_not_needed_by_the_invariants(mutant):
    result = run_mutant(mutant)
    assert result.errors == 0, "\n".join(("it is needed after all:", *result.story))
    assert result.complete


def test_every_mutant_of_the_models_is_tried():
    in_models = set()
    for file in HERE.glob("*.pml"):
        in_models |= set(re.findall(r"^#if(?:n)?def (MUTANT_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE))
    assert in_models == {mutant.macro for mutant in MUTANTS}


# --- the names ----------------------------------------------------------------------------------------------------------


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def calls_of_the_store() -> set[str]:
    return set(re.findall(r"virtual\s+Awaitable<.+>\s+(\w+)\(", read("store/store.hpp")))


def scripts() -> set[str]:
    return {file.stem for file in (ROOT / "store/scripts").glob("*.lua")} - {"common"}


def rules() -> set[str]:
    return set(re.findall(r"^Result<void> (\w+)\(Record&", read("store/transitions.hpp"), re.MULTILINE))


def modelled() -> set[str]:
    """What the models define and use."""
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(HERE.glob("*.pml")))
    defined = set(re.findall(r"^inline (\w+)\(", text, re.MULTILINE))
    return {name for name in defined if len(re.findall(rf"\b{name}\(", text)) > 1}


def test_calls_of_the_store_are_scripts_of_the_same_name():
    asked = calls_of_the_store()
    assert {"acquire", "beat", "begin_stop"} <= asked
    expected = {script for call in asked - {"lookup"} for script in CALLS.get(call, {call})}
    assert scripts() == expected, "lookup is a plain HGETALL; every other call is a script"


def test_scripts_are_rules_of_the_same_name():
    assert {RULES.get(script, script) for script in scripts() - WITHOUT_RULE} == rules()


def test_scripts_are_in_the_models_under_the_same_name():
    wanted = {RULES.get(script, script) for script in scripts() - UNMODELLED.keys()}
    assert wanted <= modelled(), f"not in the models, nor in UNMODELLED: {sorted(wanted - modelled())}"
    assert not UNMODELLED.keys() & modelled()
    assert UNMODELLED.keys() <= scripts() | calls_of_the_store(), "UNMODELLED speaks of what is not there any more"


# --- the page -----------------------------------------------------------------------------------------------------------


def test_page_says_what_the_runs_say():
    text = report.PAGE.read_text(encoding="utf-8")
    for title, body in report.tables(timed=False).items():
        assert report.without_times(report.section(text, title)) == body, (
            f'docs/model.md, "{title}", is not true to this run: tests/model/report.py writes it again')
