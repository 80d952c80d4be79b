"""A kit for TFLite Micro: it compiles, it proves itself, and what is wrong with it is found."""

from __future__ import annotations

import ctypes
import dataclasses
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError, ConversionError, GhostEdgeError, RecipeError
from ghost_edge.core.manifest import metadata_text, read_metadata
from ghost_edge.host.tflite.edit import pack
from ghost_edge.host.tflite.graph import read_model, unpack
from ghost_edge.host.tflite_micro import default_prefix
from ghost_edge.host.tflite_micro.kit import c_string, make_kit, write_kit
from ghost_edge.host.tflite_micro.operations import add_method, check_deployable
from ghost_edge.host.tflite_micro.verify import Golden, noise, verify_kit

Command = Callable[..., "subprocess.CompletedProcess[str]"]
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")
C99, CXX17 = ("-std=c99", *WARNINGS), ("-std=c++17", "-fno-exceptions", "-fno-rtti", *WARNINGS)


@pytest.fixture(scope="module")
def int8(converted: Path) -> Path:
    return converted / "ghostnet_mnist_int8.tflite"


@pytest.fixture(scope="module")
def files(int8: Path) -> dict[str, bytes]:
    return make_kit(int8, "digits", noise(int8, 2))[0]


@pytest.fixture
def kit(files: dict[str, bytes], tmp_path: Path) -> Path:
    write_kit(files, tmp_path / "kit")
    return tmp_path / "kit"


def compile_kit(folder: Path, repository: Path, c_compiler: str = "gcc") -> None:
    stub = repository / "tests" / "support" / "tflm_stub"
    for source in folder.glob("*.c"):
        subprocess.run([c_compiler, *C99, "-c", source, "-o", folder / "out.o"], check=True)
    for source in folder.glob("*.cc"):
        subprocess.run(["g++", *CXX17, "-fsyntax-only", "-isystem", stub, "-I", folder, source], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "arm-linux-gnueabihf-gcc"])
def test_it_compiles_without_a_warning(kit: Path, repository: Path, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}; apt-get install gcc-arm-linux-gnueabihf")
    compile_kit(kit, repository, compiler)


@pytest.mark.slow
def test_it_proves_itself_on_every_runtime(kit: Path) -> None:
    lines = verify_kit(kit)
    assert [line for line in lines if "PASS" in line] == [
        "digits_golden.c: PASS, 2 vectors, the same bytes by reference kernels",
        "digits_golden.c: PASS, 2 vectors, the same bytes by tflite-micro",
    ]


RUNNER = """#include "digits_runner.h"
#include "digits_golden.h"
#include <string.h>

static uint8_t input[DIGITS_INPUT_BYTES], output[DIGITS_OUTPUT_BYTES_ALL];
static unsigned number;
digits_status digits_init(void) { return DIGITS_OK; }
void *digits_input(void) { return input; }
digits_status digits_invoke(void) {
  memcpy(output, digits_golden_out[number++], sizeof(output));
  output[4] = (uint8_t)(output[4] + STEPS);
  return DIGITS_OK;
}
const void *digits_output(uint32_t index) { return index == 0u ? output : NULL; }
uint32_t digits_arena_used(void) { return 7u; }
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "code", "first", "last"),
    [
        (0, 0, "PASS: 2 vectors, 0 bytes", "PASS: 2 vectors, 0 bytes differ by 1 LSB, 7 bytes of the arena used"),
        (-1, 0, "1 LSB: vector 0, output 0, byte 4 is ", "PASS: 2 vectors, 2 bytes differ by 1 LSB"),
        (2, 1, "FAIL: vector 0, output 0, byte 4 is ", "FAIL: vector 0, output 0, byte 4 is "),
    ],
)
def test_the_program_says_pass_or_the_first_byte(kit: Path, steps: int, code: int, first: str, last: str) -> None:
    """The kit's own main.cc, on answers of which it is known how far they are."""
    (kit / "runner.c").write_text(RUNNER)
    for source in ("runner.c", "digits_golden.c"):
        subprocess.run(["gcc", *C99, f"-DSTEPS={steps}", "-c", source, "-o", f"{source}.o"], cwd=kit, check=True)
    objects = ("runner.c.o", "digits_golden.c.o")
    subprocess.run(["g++", *CXX17, "main.cc", *objects, "-o", "program"], cwd=kit, check=True)
    run = subprocess.run([kit / "program"], capture_output=True, text=True, check=False)
    lines = run.stdout.splitlines()
    assert run.returncode == code
    assert lines[0].startswith(first)
    assert lines[-1].startswith(last)


@pytest.mark.slow
def test_the_same_file_gives_the_same_bytes(int8: Path, files: dict[str, bytes]) -> None:
    assert make_kit(int8, "digits", noise(int8, 2))[0] == files


@pytest.mark.slow
def test_another_runtime_could_not_tell_the_array_from_the_file(kit: Path, int8: Path) -> None:
    text = (kit / "digits_model_data.c").read_text()
    assert bytes(int(byte, 16) for byte in re.findall("0x(..)", text)) == int8.read_bytes()


def with_text(kit: Path, part: str, change: Callable[[str], str]) -> None:
    path = kit / f"digits_{part}"
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "change", "error", "sentence"),
    [
        ("model_data.c", lambda text: text.replace("0x54", "0x55", 1), ArtifactError, "holds another model"),
        ("model_data.c", lambda text: text.replace("0x1c,", "", 1), ArtifactError, "holds another model"),
        (
            "ops.h",
            lambda text: re.sub(r".*AddMean.*\n", "", text),
            ArtifactError,
            "the model differ in AddMean; write the kit again",
        ),
        (
            "ops.h",
            lambda text: text.replace("kOperations = 7u", "kOperations = 6u"),
            ArtifactError,
            "kOperations for 7",
        ),
        (
            "golden.c",
            lambda text: re.sub(r"(_golden_out\[.*\n\{\n0x)..", r"\g<1>7e", text),
            ConversionError,
            "vector 0 by reference kernels: byte 0 is",
        ),
        ("config.h", lambda text: text.replace("DIGITS_ARENA_BYTES_32", "X"), ArtifactError, "has no DIGITS_ARENA"),
    ],
)
def test_what_was_changed_is_found(
    kit: Path, part: str, change: Callable[[str], str], error: type[GhostEdgeError], sentence: str
) -> None:
    with_text(kit, part, change)
    with pytest.raises(error, match=sentence):
        verify_kit(kit)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [32, 64])
def test_an_arena_64_bytes_under_the_least_is_found(kit: Path, bits: int) -> None:
    (line,) = [line for line in verify_kit(kit) if f"arena on {bits} bits" in line]
    least = int(re.findall(r"needed ([\d,]+)", line)[0].replace(",", ""))
    name = f"DIGITS_ARENA_BYTES_{bits}"
    with_text(kit, "config.h", lambda text: re.sub(rf"{name} \d+u", f"{name} {least - 64}u", text))
    with pytest.raises(ConversionError, match=f"ARENA_BYTES_{bits} is {least - 64:,}, the model needs {least:,}"):
        verify_kit(kit)


def test_a_folder_without_a_kit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"holds 0 files \*_model_data\.c, expected one; give a folder that"):
        verify_kit(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "prefix", ["", "9a", "Main", "a-b", "int", "../x", "a b", "a;b", "a" * 21, "a_", 'a"', "a\n", "ä"]
)
def test_a_name_that_is_none_in_c_is_refused(prefix: str, int8: Path) -> None:
    with pytest.raises(RecipeError, match="cannot stand in front of C names; give at most 20"):
        make_kit(int8, prefix, noise(int8, 1))


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("ghostnet_cifar10", "ghostnet_cifar10"), ("coral_mobilenet_v1_0.25_128", "coral_mobilenet_v1_0"), ("A b", "a_b")],
)
def test_the_name_of_a_file_becomes_one_in_c(name: str, prefix: str) -> None:
    assert default_prefix(name) == prefix


NASTY = ('"; system("x"); //', "*/", "??/", "line\nbreak", "back\\slash", "ひらがな", "7", "\x00")


def test_labels_stay_text(tmp_path: Path) -> None:
    source = tmp_path / "labels.c"
    listed = ", ".join(map(c_string, NASTY))
    source.write_text(f"const char *const labels[] = {{ {listed} }};\n")
    subprocess.run(["gcc", *C99, "-trigraphs", "-shared", "-fPIC", source, "-o", tmp_path / "labels.so"], check=True)
    found = (ctypes.c_char_p * len(NASTY)).in_dll(ctypes.CDLL(str(tmp_path / "labels.so")), "labels")
    assert [each.decode() for each in found] == [each.partition("\x00")[0] for each in NASTY]


@pytest.mark.slow
def test_labels_of_the_file_compile(int8: Path, repository: Path, tmp_path: Path) -> None:
    metadata = read_metadata(int8)
    assert metadata is not None
    model = unpack(int8.read_bytes())
    for entry in model.metadata:
        if entry.name == b"ghost_edge":
            text = metadata_text(dataclasses.replace(metadata, class_names=NASTY))
            model.buffers[entry.buffer].data = np.frombuffer(text.encode(), np.uint8)
    path = tmp_path / 'nasty "*.tflite'
    path.write_bytes(pack(model))
    write_kit(make_kit(path, "nasty", noise(path, 1))[0], tmp_path / "kit")
    compile_kit(tmp_path / "kit", repository)
    assert '"; system(' not in (tmp_path / "kit" / "nasty_config.h").read_text()


@pytest.mark.data
@pytest.mark.slow
def test_golden_vectors_are_what_tflite_micro_answered(data_folder: Path, repository: Path, tmp_path: Path) -> None:
    model = data_folder / "micro" / "ghost05_96.tflite"
    given = np.fromfile(model.with_name("ghost05_96.input.bin"), np.int8).reshape(-1, 96, 96, 3)
    expected = model.with_name("ghost05_96.tflm_output.bin").read_bytes()
    vectors = Golden([each[np.newaxis] for each in given], "recorded")
    write_kit(make_kit(model, "ghost", vectors)[0], tmp_path)
    rows = re.findall(r"\{\n([^{}]*)\}", (tmp_path / "ghost_golden.c").read_text().partition("_golden_out[")[2])
    assert bytes(int(byte, 16) for row in rows for byte in re.findall("0x(..)", row)) == expected
    compile_kit(tmp_path, repository)
    verify_kit(tmp_path)


@pytest.mark.data
@pytest.mark.slow
def test_a_model_of_three_outputs_proves_all_of_them(
    data_folder: Path, repository: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = data_folder / "models" / "mcunet_detection_int8.tflite"
    write_kit(make_kit(model, "boxes", noise(model, 1))[0], tmp_path)
    assert "#define BOXES_OUTPUTS 3u" in (tmp_path / "boxes_config.h").read_text()
    compile_kit(tmp_path, repository)
    assert "the same bytes by tflite-micro" in verify_kit(tmp_path)[-1]
    assert "out of range" not in capfd.readouterr().err


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("micro/v_gelu", r"operation \d+, GELU .*: it has no such operation"),
        (
            "models/coral_mobilenet_v1_0.25_128_quant",
            r"CONV_2D .*: it has no kernels for uint8 activations",
        ),
        ("models/mlperf_tiny_ic_resnet8_cifar10_float", r"it computes in float, and the kit is for integers"),
    ],
)
def test_what_it_does_not_run_is_named(name: str, sentence: str, data_folder: Path) -> None:
    with pytest.raises(ConversionError, match=sentence):
        check_deployable(read_model(data_folder / f"{name}.tflite"))


def test_methods_are_spelt_as_the_resolver_has_them() -> None:
    names = ("CONV_2D", "L2_POOL_2D", "BATCH_MATMUL", "ADD_N", "BATCH_TO_SPACE_ND", "RELU6", "PADV2")
    methods = ["AddConv2D", "AddL2Pool2D", "AddBatchMatMul", "AddAddN", "AddBatchToSpaceNd", "AddRelu6", "AddPadV2"]
    assert list(map(add_method, names)) == methods
