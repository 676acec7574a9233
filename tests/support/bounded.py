"""No test waits for ever, whatever it waits for."""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import threading


@contextlib.contextmanager
def no_longer_than(seconds: int):
    """Raises TimeoutError in the test. Where that cannot be done, because pytest-xdist happens to run its tests beside
    the main thread, the process says where it hangs and ends, which xdist reports for the test."""
    if threading.current_thread() is not threading.main_thread():
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
        return

    def too_long(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
