"""What is wrong at the start is said in words that help."""

import socket

from support.alcove import Alcove, app
from support.ports import free_port
from support.redis_server import RedisServer


def ends(place, **keys) -> tuple[int, str]:
    run = Alcove(place / "run", **keys).spawn()
    try:
        code = run.process.wait(40)
    finally:
        run.process.kill()
    run.reader.join(10)
    assert "Sanitizer" not in run.log, run.log
    return code, run.log


def test_a_port_in_use_is_named_and_it_ends(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, log = ends(place, listen=[{"address": f"127.0.0.1:{port}"}])
        assert code not in (0, 99) and f"127.0.0.1:{port}" in log and "in use" in log.lower(), log


def test_an_admin_port_in_use_is_named_and_it_ends(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, log = ends(place, admin={"address": f"127.0.0.1:{port}"})
        assert code not in (0, 99) and f"127.0.0.1:{port}" in log and "in use" in log.lower(), log


def test_a_state_directory_that_cannot_be_made_is_named_and_it_ends(place):
    (place / "file").write_text("")
    code, log = ends(place, runtime={"local": {"directory": str(place / "file" / "state")}})
    assert code not in (0, 99) and str(place / "file") in log, log


def test_redis_that_is_not_there_at_the_start_is_said_and_tried_again_until_it_is(make, place):
    port = free_port()
    run = make(start=False, store=f"redis://127.0.0.1:{port}/0", apps={"test": app(hold_timeout="3s")})
    run.spawn()
    line = run.wait_log(f"127.0.0.1:{port}", timeout=30)
    assert "redis" in line.lower() or "store" in line.lower(), line
    lines_before = len(run.lines)
    ready = None
    while ready is None:
        try:
            ready = run.admin("/readyz")
        except OSError:
            assert run.process.poll() is None, run.log
    assert ready.status == 503 and "store" in ready.text.lower(), ready.text
    assert run.admin("/healthz").status == 200, "it lives, it is only not ready"
    answer = run.get("ada", timeout=70)
    assert answer.status == 503 and answer.by_alcove and answer.header("Retry-After"), answer.head
    server = RedisServer(place / "redis", port).start()
    try:
        run.wait_ready()
        assert run.get("ada").status == 200
        assert len(run.lines) > lines_before, "and it says that it is connected"
        run.check_end()
    finally:
        server.stop()


def test_wrong_redis_password_is_said(make, redis):
    redis.command("CONFIG", "SET", "requirepass", "right")
    run = make(start=False, store=f"redis://:wrong@127.0.0.1:{redis.port}/0")
    run.spawn()
    run.wait_log("WRONGPASS", timeout=30)
    assert "wrong@" not in run.log, "never a password in the log"
