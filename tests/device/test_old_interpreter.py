"""The check without tflite-runtime 2.14 says what tflite-runtime 2.14 says, on an emulated Cortex-A9."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from emulator import SHORT, Run, board_command, board_python
from one_op import one_op

from ghost_edge.core.errors import ConversionError
from ghost_edge.host.explore.networks import convert_untrained
from ghost_edge.host.tflite.graph import read_model
from ghost_edge.host.tflite.verify import HIGHEST_VERSION, check_old_interpreter

pytestmark = pytest.mark.board
KERNELS = ("default", "reference")
# opens each file with both kernel sets, which is when versions are looked up; prints those that both know
OPEN_ALL = """
import json, pathlib, sys
from tflite_runtime.interpreter import Interpreter, OpResolverType
known = []
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.tflite")):
    try:
        for kernels in (OpResolverType.AUTO, OpResolverType.BUILTIN_REF):
            Interpreter(str(path), experimental_op_resolver_type=kernels)
    except ValueError as error:
        assert "Didn't find op" in str(error), error
    else:
        known.append(path.stem)
print(json.dumps(known))
"""
RUN = {
    "ghostnet": {"kind": "ghostnet", "input_size": 224},
    "ghostnet_v2": {"kind": "ghostnet_v2", "input_size": 96},
    "mobilenet_v3_small": {"kind": "mobilenet_v3_small", "input_size": 64},
    "shufflenet_v2": {"kind": "shufflenet_v2", "input_size": 64},
    "efficientnet_b0": {"kind": "efficientnet_b0", "input_size": 64},
}
WIDE = ((1, 2, 2, 2, 8), (1, 2, 1, 2, 8))
FAILS = {
    "SUM": (one_op("SUM", [(1, 4, 4, 8)], (1, 8), axes=(1, 2)), "killed by SIGILL"),
    "MUL": (one_op("MUL", WIDE, WIDE[0]), "killed by SIGABRT"),
    "SUB": (one_op("SUB", [(1, *shape) for shape in WIDE], (1, *WIDE[0])), "killed by SIGABRT"),
    "MAXIMUM": (one_op("MAXIMUM", [(1, *shape) for shape in WIDE], (1, *WIDE[0])), "killed by SIGABRT"),
    "CONV_2D": (one_op("CONV_2D", [(1, 4, 4, 8)] * 3, (1, 4, 4, 8), version=8), "2.14.0 has no CONV_2D version 8"),
}


@pytest.fixture(scope="module")
def cortex_a9() -> Run:
    return board_command("armhf")


def failures(board: Run, path: Path) -> list[Any]:
    """What bench says of a file on the board with each kernel set; None where it ran."""
    told = []
    for kernels in KERNELS:
        run = board("bench", path, *SHORT, "--kernels", kernels, "--json", "-")
        told.append(json.loads(run.stdout)["results"][0]["failure"])
    return told


def test_the_table_of_versions_is_what_the_wheel_for_armv7l_knows(tmp_path: Path) -> None:
    for name, highest in HIGHEST_VERSION.items():
        for version in (highest, highest + 1):
            (tmp_path / f"{name} {version}.tflite").write_bytes(one_op(name, [(1, 4)], (1, 4), version=version))
    run = board_python("armhf")("-c", OPEN_ALL, tmp_path)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == sorted(f"{name} {version}" for name, version in HIGHEST_VERSION.items())


@pytest.mark.slow
@pytest.mark.parametrize("network", RUN.values(), ids=RUN.keys())
def test_an_int8_network_that_passes_the_check_runs(cortex_a9: Run, tmp_path: Path, network: dict[str, Any]) -> None:
    made = convert_untrained(network, tmp_path)
    check_old_interpreter(read_model(made.int8_tflite), made.int8_tflite.name)
    assert failures(cortex_a9, made.int8_tflite) == [None, None]


def test_the_shipped_int8_model_passes_the_check(converted: Path) -> None:
    for name in ("ghostnet_mnist_float.tflite", "ghostnet_mnist_int8.tflite"):
        check_old_interpreter(read_model(converted / name), name)


@pytest.mark.parametrize("name", FAILS)
def test_an_operation_that_the_check_refuses_does_not_run(cortex_a9: Run, tmp_path: Path, name: str) -> None:
    content, cause = FAILS[name]
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=rf"^m\.tflite holds {name} version"):
        check_old_interpreter(read_model(path), path.name)
    assert any(told and cause in told for told in failures(cortex_a9, path))


@pytest.mark.parametrize("operands", [[(1, 2, 2, 8), (1, 1, 1, 8)], [(1, 1, 2, 2, 2, 8)] * 2])
def test_a_product_of_equal_shapes_or_of_four_dimensions_runs(cortex_a9: Run, tmp_path: Path, operands: Any) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(one_op("MUL", operands, operands[0]))
    check_old_interpreter(read_model(path), path.name)
    assert failures(cortex_a9, path) == [None, None]
