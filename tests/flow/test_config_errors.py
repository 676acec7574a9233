"""`alcove check FILE`: what is wrong, in which file, on which line, at which key, and what would be right."""

import pytest

from support.alcove import ROOT, Alcove, run_alcove

GOOD = """\
identity: [dev]
apps:
  demo:
    command: [sleep, "1"]
    idle_timeout: 10m
"""


def check(place, text: str):
    file = place / "alcove.yaml"
    file.write_text(text, encoding="utf-8")
    return run_alcove("check", str(file)), str(file)


def test_a_good_file_is_said_to_be_good(place):
    done, file = check(place, GOOD)
    assert done.returncode == 0, done.stderr
    assert file in done.stdout


@pytest.mark.parametrize("name", ["alcove.example.yaml", "examples/http-server.yaml", "examples/nginx.yaml",
                                  "examples/redis.yaml", "examples/websocketd.yaml"])
def test_the_examples_are_good(name):
    done = run_alcove("check", str(ROOT / "config" / name))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text, line, key, hint", [
    (GOOD.replace("idle_timeout", "idle_timout"), 5, "apps.demo.idle_timout", "idle_timeout"),
    (GOOD.replace("10m", "ten minutes"), 5, "apps.demo.idle_timeout", "10m"),
    (GOOD.replace('[sleep, "1"]', "sleep 1"), 4, "apps.demo.command", "list"),
    (GOOD + "limits:\n  holds: many\n", 7, "limits.holds", "number"),
    (GOOD + "store: mongodb://127.0.0.1/\n", 6, "store", "memory"),
    (GOOD + "listen:\n  - address: 127.0.0.1:99999\n", 7, "listen[0].address", "127.0.0.1"),
    (GOOD + "listen:\n  - address: 127.0.0.1:8443\n    tls: {certificate: /no/such.pem, key: /no/such.key}\n", 8,
     "listen[0].tls.certificate", "/no/such.pem"),
    (GOOD + "admin: {address: '0.0.0.0:8081'}\n", 6, "admin.address", "token"),
    (GOOD.replace("demo:", "De_mo:"), 3, "apps.De_mo", "a-z"),
    (GOOD + "apps: {}\n", 6, "apps", ""),
    (GOOD.replace("identity: [dev]", "identity: [{trusted_header: {header: X-User-ID}}]"), 1,
     "identity[0].trusted_header.from", "127.0.0.1"),
], ids=["unknown_key", "wrong_duration", "command_is_text", "wrong_number", "unknown_store", "bad_port",
        "missing_pem", "open_admin_without_token", "bad_app_name", "key_twice", "trusted_from_nobody"])
def test_a_mistake_is_told_with_file_line_and_key(place, text, line, key, hint):
    done, file = check(place, text)
    assert done.returncode not in (0, 99), done.stdout
    told = [t for t in (done.stderr + done.stdout).splitlines() if t.startswith(f"{file}:{line}:")]
    assert told, done.stderr + done.stdout
    assert key in told[0] and hint in told[0], told[0]


def test_all_mistakes_are_told_at_once(place):
    done, file = check(place, GOOD.replace("10m", "soon") + "limits: {holds: -1}\nworkers: x\n")
    out = done.stderr + done.stdout
    assert all(f"{file}:{line}:" in out for line in (5, 6, 7)), out


@pytest.mark.parametrize("text", ["apps: [unclosed\n", "a: b: c\n", "\tapps: {}\n", "- just\n- a list\n", "", "\x00\x01"],
                         ids=["unclosed", "two_colons", "tab", "a_list", "empty", "binary"])
def test_what_is_no_config_at_all_is_told_and_nothing_crashes(place, text):
    done, file = check(place, text)
    out = done.stderr + done.stdout
    assert done.returncode not in (0, 99) and done.returncode > 0, out
    assert file in out and "Sanitizer" not in out


def test_a_missing_file_is_named(place):
    done = run_alcove("check", str(place / "nothing.yaml"))
    assert done.returncode > 0 and done.returncode != 99
    assert str(place / "nothing.yaml") in done.stderr and "No such file" in done.stderr


def test_a_variable_that_is_not_set_is_named(place):
    done, file = check(place, GOOD + "admin: {address: '127.0.0.1:8081', token: '${NO_SUCH_VARIABLE}'}\n")
    assert done.returncode > 0 and "NO_SUCH_VARIABLE" in done.stderr and f"{file}:6" in done.stderr


def test_up_with_a_bad_config_says_the_same_and_ends(place):
    run = Alcove(place / "run", config=GOOD.replace("10m", "soon")).spawn()
    assert run.process.wait(30) not in (0, 99)
    run.reader.join(10)
    assert f"{run.file}:5: apps.demo.idle_timeout" in run.log


def test_the_command_line_says_what_it_does_not_know():
    for words in (["frobnicate"], ["up", "--no-such-option"], ["check"], []):
        done = run_alcove(*words)
        assert done.returncode > 0 and done.returncode != 99, words
        assert done.stderr or done.stdout


def test_version_and_help():
    assert run_alcove("version").stdout.startswith("alcove 0.")
    for words in (["--help"], ["up", "--help"], ["ls", "--help"]):
        done = run_alcove(*words)
        assert done.returncode == 0 and "Usage" in done.stdout
