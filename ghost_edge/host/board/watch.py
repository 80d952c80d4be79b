"""Run a command while somebody is at the other end of stdin: watch.py SECONDS-OF-SILENCE COMMAND..."""

import os
import select
import signal
import subprocess
import sys
import threading
from typing import Any

# a session of its own, so that whatever it starts can be killed with it
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, start_new_session=True)


def kill(*_: Any) -> None:
    """End the command and all that it started."""
    os.killpg(child.pid, signal.SIGKILL)


def listen() -> None:
    """Wait for the end of stdin, or a silence."""
    while select.select([0], [], [], float(sys.argv[1]))[0] and os.read(0, 4096):
        pass
    kill()


for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, kill)
threading.Thread(target=listen, daemon=True).start()
code = child.wait()
sys.exit(code if code >= 0 else 128 - code)
