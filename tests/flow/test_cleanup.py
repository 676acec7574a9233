"""Nothing is left behind, in whatever way alcove ends."""

import os
import signal

from support.alcove import Alcove, app
from support.procs import carrying, wait_gone


def test_after_sigterm_no_pod_is_left(make):
    run = make(apps={"test": app("--child")})
    run.get("ada")
    run.get("grace")
    pods = run.pods()
    assert len(pods) >= 4, "two pods and the child of each"
    assert run.stop() == 0
    assert wait_gone(pods, 0), "stop means that all are gone when it ends"


def test_after_sigkill_no_pod_is_left(make):
    run = make(apps={"test": app("--child")})
    run.get("ada")
    run.get("grace")
    everything = run.left_behind()
    assert len(everything) >= 5
    run.kill()
    assert wait_gone(everything, 20), run.left_behind()


def test_sigint_ends_it_in_order_too(alcove):
    alcove.get("ada")
    assert alcove.stop(signal.SIGINT) == 0


def test_when_all_of_alcove_was_killed_the_next_start_cleans_up(make):
    run = make(apps={"test": app("--child", "--ignore-sigterm")})
    run.get("ada")
    pods = run.pods()
    guards = [pid for pid in carrying(run.mark) if pid not in pods and pid != run.process.pid]
    assert guards, "the guard is a process of its own"
    # Stopped first: a guard that runs would clean up at once, and this is about one that cannot.
    for pid in guards:
        os.kill(pid, signal.SIGSTOP)
    run.kill()
    for pid in guards:
        os.kill(pid, signal.SIGKILL)
    left = [pid for pid in pods if not wait_gone([pid], 0)]
    assert left, "there is something to clean up"
    again = make(config=run.config, state=run.state, start=False)
    again.port, again.admin_port = run.port, run.admin_port
    again.start()
    assert wait_gone(left, 20), run.pods()
    assert again.get("ada").status == 200


def test_the_next_start_cleans_up_a_program_that_hides_its_mark_too(make):
    """nginx writes its title over its environment, so nothing there says whose it is."""
    conf = ("daemon off; user root; worker_processes 1; pid {dir}/nginx.pid; error_log stderr; events {} http { access_log off; "
            "client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; "
            "scgi_temp_path {dir}/s; server { listen {address}:{port}; } }")
    run = make(apps={"web": {**app(), "command": ["/usr/sbin/nginx", "-e", "stderr", "-p", "{dir}", "-c", "{dir}/nginx.conf"],
                             "files": {"nginx.conf": conf}}})
    assert run.get("ada", app_name="web").status in (200, 403, 404)
    pods = run.pods()
    assert len(pods) >= 2, "a master and a worker"
    guards = [pid for pid in carrying(run.mark) if pid not in pods and pid != run.process.pid]
    for pid in guards:
        os.kill(pid, signal.SIGSTOP)
    run.kill()
    for pid in guards:
        os.kill(pid, signal.SIGKILL)
    assert [pid for pid in pods if not wait_gone([pid], 0)], "there is something to clean up"
    again = make(config=run.config, state=run.state, start=False)
    again.port, again.admin_port = run.port, run.admin_port
    again.start()
    try:
        assert wait_gone(pods, 20), f"left: {[pid for pid in pods if not wait_gone([pid], 0)]}"
    finally:
        for pid in pods:
            if not wait_gone([pid], 0):
                os.kill(pid, signal.SIGKILL)


def test_a_second_alcove_on_the_same_state_directory_is_told_so(make):
    run = make()
    second = Alcove(run.directory.parent / "second", state=run.state)
    second.spawn()
    assert second.process.wait(30) not in (0, None)
    second.reader.join(10)
    assert str(run.state) in second.log, second.log
    assert run.get("ada").status == 200


def test_a_pods_environment_is_clean_and_its_directory_its_own(make):
    run = make(environment={"SECRET_OF_THE_OPERATOR": "hunter2"},
               apps={"test": app(env={"HELLO": "{user} of {session} at {address}:{port}"},
                                 files={"conf/app.conf": "listen {address}:{port}\n"})})
    fact = run.get("ada").json()
    environment = fact["environment"]
    assert "SECRET_OF_THE_OPERATOR" not in environment and run.mark.partition("=")[0] not in environment
    address = fact["address"]
    assert environment["HELLO"] == f"ada of test/ada at {address}"
    assert (environment["ALCOVE_SESSION"], environment["ALCOVE_GENERATION"]) == ("test/ada", "1")
    assert fact["directory"].startswith(str(run.state.resolve()))
    with open(f"{fact['directory']}/conf/app.conf", encoding="utf-8") as file:
        assert file.read() == f"listen {address}\n"
    assert run.get("grace").json()["directory"] != fact["directory"]
