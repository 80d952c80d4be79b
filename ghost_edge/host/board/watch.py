"""Run a command while somebody is at the other end of stdin: watch.py SECONDS-OF-SILENCE COMMAND..."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
from typing import Any

children: list[Any] = []
ended = threading.Event()


def kill(*_: Any) -> None:
    """End the command and all that it started."""
    ended.set()
    for child in children:
        os.killpg(child.pid, signal.SIGKILL)


def listen() -> None:
    """Wait for the end of stdin, or a silence."""
    while select.select([0], [], [], float(sys.argv[1]))[0] and os.read(0, 4096):
        pass
    kill()


lock = os.open("../..", os.O_RDONLY)  # the folder of all bundles; the lock goes with this process
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(75)  # EX_TEMPFAIL of sysexits.h
for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, kill)
# a session of its own, so that whatever it starts can be killed with it
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, start_new_session=True)
children.append(child)
if ended.is_set():  # by a signal before we knew whom to kill
    kill()
threading.Thread(target=listen, daemon=True).start()
code = child.wait()
sys.exit(code if code >= 0 else 128 - code)
