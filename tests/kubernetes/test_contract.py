"""The contract tests in C++ against the real thing: what the runtimes have in common, and what Alcove relies on in the
API (the other half of what holds the stand-in of the unit tests to the truth)."""


def check(done):
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    assert "[  PASSED  ]" in done.stdout and "0 tests." not in done.stdout


def test_the_runtime_keeps_the_contract_of_all_runtimes(contract):
    check(contract("test_runtime_contract", "*/local:*/kubernetes"))


def test_the_api_does_what_the_client_relies_on(contract):
    check(contract("test_api_contract", "*/cluster"))
