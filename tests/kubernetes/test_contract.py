"""The contract tests in C++ against the real thing: what the runtimes have in common, and what Alcove relies on in the
API (the other half of what holds the stand-in of the unit tests to the truth)."""

import re


def check(done):
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    passed = re.search(r"\[  PASSED  \] (\d+) tests?\.", done.stdout)
    assert passed and int(passed[1]) > 0, done.stdout[-8000:]


def test_the_runtime_keeps_the_contract_of_all_runtimes(contract):
    check(contract("test_runtime_contract", "*/local:*/kubernetes"))


def test_the_api_does_what_the_client_relies_on(contract):
    check(contract("test_api_contract", "*/cluster"))
