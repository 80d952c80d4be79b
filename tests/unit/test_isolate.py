"""What a child may do without harm to us."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ghost_edge.core.errors import ArtifactError, DeviceError
from ghost_edge.device.isolate import Outcome, explain_signal, run_isolated

ROOT = Path(__file__).resolve().parents[2]


def add(left: int, right: int) -> int:
    return left + right


def send_myself(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(10)


def test_a_value_comes_back() -> None:
    assert run_isolated(add, 2, 3, timeout_s=20) == Outcome(value=5)


def test_a_value_larger_than_a_pipe_comes_back_whole() -> None:
    assert len(run_isolated(bytes, 5_000_000, timeout_s=20).unwrap("x.tflite")) == 5_000_000


def test_the_child_does_not_change_us() -> None:
    seen: list[int] = []
    run_isolated(seen.append, 1, timeout_s=20)
    assert seen == []


@pytest.mark.parametrize("number", [signal.SIGILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_a_signal_is_named(number: signal.Signals) -> None:
    assert run_isolated(send_myself, number, timeout_s=20).failure.startswith(f"killed by {number.name}: ")


def test_a_kill_from_outside_is_probably_a_full_memory() -> None:
    outcome = run_isolated(send_myself, signal.SIGKILL, timeout_s=20)
    assert outcome.failure.startswith("killed by SIGKILL: probably out of memory")


def test_an_illegal_instruction_on_a_cortex_a9_names_the_way_out() -> None:
    told = explain_signal(signal.SIGILL, "0xc09")
    assert told == "this interpreter's float kernels need VFPv4; use the int8 model"


def test_an_illegal_instruction_elsewhere_does_not_speak_of_vfp() -> None:
    assert "VFP" not in explain_signal(signal.SIGILL, "0xd03")
    assert "VFP" not in explain_signal(signal.SIGILL, None)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_an_interpreter_that_broke_may_have_lacked_memory(number: signal.Signals) -> None:
    told = "the interpreter broke: little memory, a damaged file, or try --kernels reference"
    assert explain_signal(number, "0xc09") == told


def test_a_child_that_takes_too_long_is_stopped_and_gone() -> None:
    outcome = run_isolated(time.sleep, 60, timeout_s=0.2)
    assert outcome.failure == "not done after 0.2 s, stopped; give it longer with --timeout"
    with pytest.raises(ChildProcessError, match="No child"):
        os.waitpid(-1, os.WNOHANG)


def test_memory_that_is_not_there_is_said_so() -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        bytearray(2**31)

    assert run_isolated(fill, timeout_s=20).failure.startswith("out of memory")


def test_our_own_error_keeps_its_class_and_text() -> None:
    def refuse() -> None:
        raise ArtifactError("model.tflite is empty")

    with pytest.raises(ArtifactError, match=r"^model\.tflite is empty$"):
        run_isolated(refuse, timeout_s=20).unwrap("model.tflite")


def test_any_other_exception_is_a_failure_with_its_last_line() -> None:
    outcome = run_isolated(add, 1, "2", timeout_s=20)
    assert outcome.failure.startswith("ended with exit code 1 (TypeError: unsupported operand")
    with pytest.raises(DeviceError, match=r"^x\.tflite: ended with exit code 1"):
        outcome.unwrap("x.tflite")


def test_a_result_that_does_not_pickle_is_a_failure() -> None:
    assert "ickle" in run_isolated(lambda: lambda: 0, timeout_s=20).failure


def test_a_child_that_leaves_without_a_word_is_a_failure() -> None:
    assert run_isolated(os._exit, 3, timeout_s=20).failure == "ended with exit code 3"


def test_a_child_that_leaves_happily_without_a_result_is_a_failure() -> None:
    assert run_isolated(os._exit, 0, timeout_s=20).failure == "ended without a result"


def test_what_the_child_prints_is_not_seen(capfd: pytest.CaptureFixture[str]) -> None:
    run_isolated(os.write, 1, b"banner\n", timeout_s=20)
    run_isolated(os.write, 2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n", timeout_s=20)
    assert capfd.readouterr() == ("", "")


def test_the_last_words_explain_a_signal_and_news_does_not() -> None:
    def die() -> None:
        os.write(2, b"ERROR: tensor 7 is null\nINFO: Created delegate\n")
        send_myself(signal.SIGABRT)

    assert run_isolated(die, timeout_s=20).failure.endswith("(ERROR: tensor 7 is null)")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_parent_that_is_stopped_leaves_no_child(tmp_path: Path, number: signal.Signals) -> None:
    mark = tmp_path / "pid"
    program = (
        "import os, pathlib, time\nfrom ghost_edge.device.isolate import run_isolated\n"
        f"mark = pathlib.Path({str(mark)!r})\n"
        "def work():\n    mark.with_suffix('.new').write_text(str(os.getpid()))\n"
        "    mark.with_suffix('.new').rename(mark)\n    time.sleep(60)\n"
        "run_isolated(work, timeout_s=60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_until(mark.exists)
    parent.send_signal(number)
    parent.wait(20)
    child = Path(f"/proc/{mark.read_text()}/stat")
    wait_until(lambda: not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z")


def wait_until(done) -> None:  # type: ignore[no-untyped-def]
    for _ in range(400):
        if done():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen in 20 s")
