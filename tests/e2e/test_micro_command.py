"""ghost-edge micro, and the kit that convert writes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ghost_edge.cli.main import main
from ghost_edge.core.errors import ConversionError
from ghost_edge.host.tflite_micro import verify as prove

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_kit_that_does_not_prove_itself_is_not_written(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove, "_check_vectors", lambda *_: (_ for _ in ()).throw(ConversionError("no")))
    with pytest.raises(SystemExit) as stopped:
        main(["micro", str(converted / "ghostnet_mnist_int8.tflite"), "-o", str(tmp_path / "kit")])
    assert stopped.value.code == 6
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "micro needs the path of an int8 .tflite, or --verify FOLDER; give one of the two"),
        (("M.tflite", "--verify", "x"), 2, "give one of the two"),
        (("nope.tflite",), 4, "nope.tflite cannot be read"),
        (("F.tflite",), 6, "TFLite Micro does not run operation 0, CONV_2D"),
        (("M.tflite", "--prefix", "int"), 2, "'int' cannot stand in front of C names"),
        (("--verify", "nowhere"), 4, "nowhere holds 0 files *_model_data.c"),
    ],
)
def test_a_mistake_gets_one_line(
    arguments: Sequence[str], code: int, sentence: str, converted: Path, ghost_edge: Command, tmp_path: Path
) -> None:
    shutil.copy(converted / "ghostnet_mnist_int8.tflite", tmp_path / "M.tflite")
    shutil.copy(converted / "ghostnet_mnist_float.tflite", tmp_path / "F.tflite")
    run = ghost_edge("micro", *(tmp_path / each if "." in each else each for each in arguments))
    assert run.returncode == code, run.stderr
    assert sentence in run.stderr
    assert run.stderr.count("\n") == 1


def test_convert_writes_a_kit_of_evaluation_images(
    repository: Path, converted: Path, ghost_edge: Command, tmp_path: Path
) -> None:
    text = (repository / "models" / "ghostnet_mnist.toml").read_text().replace('"../', f'"{repository}/')
    weights = text.replace('"weights/', f'"{repository}/models/weights/')
    (tmp_path / "ghostnet_mnist.toml").write_text(weights + '\n[[export]]\nkind = "micro"\nimages = 2\n')
    out = Path(shutil.copytree(converted, tmp_path / "out"))
    run = ghost_edge("convert", tmp_path / "ghostnet_mnist.toml", "--out", out)
    assert run.returncode == 0, run.stderr
    assert f"kit for TFLite Micro, verified here: {out / 'ghostnet_mnist_micro'}/" in run.stdout
    assert (out / "ghostnet_mnist_int8.onnx").is_file()
    assert "2u /* images of [evaluation] */" in (out / "ghostnet_mnist_micro" / "ghostnet_mnist_golden.h").read_text()
    run = ghost_edge("micro", "--verify", out / "ghostnet_mnist_micro")
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("PASS, 2 vectors") == 2
