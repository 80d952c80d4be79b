"""The hook of .pre-commit-config.yaml that reads commit messages."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

BODY = "\n\nA gate without images could not fail.\n"


@pytest.fixture(scope="module")
def hook(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("commit_msg", repository / ".ci" / "commit_msg.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "message",
    [
        f"gate: refuse an empty baseline{BODY}",
        f"host/tflite: feed int16 inputs{BODY}",
        f"core, device: read size = [height, width]{BODY}# Please enter the commit message\n",
        f"words: say image, never picture, in code, messages and docs{BODY}",
        f"{'gate: ' + 'refuse ' + 'x' * 59}{BODY}",  # 72 characters
        "Merge branch 'main' into gate\n",
        "fixup! gate: refuse an empty baseline\n",
    ],
)
def test_a_good_message_passes(hook: ModuleType, message: str) -> None:
    assert hook.faults(message) == []


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("gate: refuse an empty baseline\n", "there is no body"),
        ("gate: refuse an empty baseline\n\n# Please enter\n", "there is no body"),
        ("gate: refuse an empty baseline\n\nSigned-off-by: A <a@example.org>\n", "there is no body"),
        ("gate: refuse an empty baseline\nIt could not fail.\n", "the second line is not empty"),
        (f"gate: refuse an empty baseline.{BODY}", "ends with a full stop"),
        (f"{'gate: ' + 'refuse ' + 'x' * 60}{BODY}", "the subject has 73 characters"),
        (f"The card of other weights is told from none{BODY}", "write `area: verb object`"),
        (f"Gate: refuse an empty baseline{BODY}", "write `area: verb object`"),
        (f"gate: refuse{BODY}", "write `area: verb object`"),
        (f"gate: the baseline of other images{BODY}", "'the' is no verb"),
        (f"gate: refused an empty baseline{BODY}", "'refused' is no verb"),
        (f"gate: refusing an empty baseline{BODY}", "'refusing' is no verb"),
        ("", "there is no body"),
    ],
)
def test_a_bad_message_is_refused(hook: ModuleType, message: str, fault: str) -> None:
    assert any(fault in each for each in hook.faults(message))


@pytest.mark.parametrize(("message", "code"), [(f"gate: refuse an empty baseline{BODY}", 0), ("Gate fixes", 1)])
def test_the_hook_ends_as_git_expects(repository: Path, tmp_path: Path, message: str, code: int) -> None:
    (tmp_path / "COMMIT_EDITMSG").write_text(message)
    command = [sys.executable, repository / ".ci" / "commit_msg.py", tmp_path / "COMMIT_EDITMSG"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr.startswith("commit message: ")) == (code, bool(code))


def test_pre_commit_runs_the_hook_on_messages(repository: Path) -> None:
    config = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = {hook["id"]: hook for group in config["repos"] for hook in group["hooks"]}
    assert (hooks["commit-msg"]["stages"], hooks["commit-msg"]["language"]) == (["commit-msg"], "system")
    assert hooks["commit-msg"]["entry"].split()[-1] == ".ci/commit_msg.py"
    assert "commit-msg" in config["default_install_hook_types"]
