"""Checkpoints that PyTorch wrote, and those that nobody should open."""

from __future__ import annotations

import os
import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from pytorch_file import Tensor, pickled, zipped
from safetensors.numpy import save_file

from ghost_edge.core.errors import ArtifactError, GhostEdgeError, RecipeError
from ghost_edge.host.networks import ghostnet
from ghost_edge.host.networks.ghostnet import GhostNet
from ghost_edge.host.networks.state_dict import load_weights, network_state, read_checkpoint, save_weights
from ghost_edge.host.networks.torch_file import read_torch
from ghost_edge.host.recipe.schema import NetworkTable
from ghost_edge.host.training import export_weights, import_weights, network_table

FILES = ("plain.pth", "before_1_6.pth", "trained.pth.tar")
TINY = GhostNet(input_size=16, classes=3, width=0.25, stages=((3, 16, 16, 0, 1), (3, 48, 24, 0.25, 2)), head_channels=8)
TABLE = NetworkTable("ghostnet", TINY)


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "tests" / "data" / "checkpoints"


@pytest.fixture(scope="module")
def state() -> dict[str, NDArray[np.float32]]:
    """The weights that the files in tests/data/checkpoints were made of."""
    keras.utils.set_random_seed(0)
    return network_state(ghostnet.build(TINY))


@pytest.mark.parametrize("name", FILES)
def test_pytorchs_files_are_read_to_the_bit(name: str, folder: Path, state: dict[str, Any]) -> None:
    read = read_checkpoint(folder / name)
    assert read.keys() == state.keys()
    for key, values in state.items():
        np.testing.assert_array_equal(read[key], values)


@pytest.mark.parametrize("name", FILES)
def test_an_imported_checkpoint_is_the_same_file_whatever_it_came_in(
    name: str, folder: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    save_file(state, tmp_path / "state.safetensors")
    outs = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for source, out in zip((folder / name, tmp_path / "state.safetensors"), outs, strict=True):
        assert import_weights(source, TABLE, out)["classes"] == 3
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_a_recipe_can_name_a_pytorch_file(folder: Path, state: dict[str, Any]) -> None:
    model = ghostnet.build(TINY)
    load_weights(model, folder / "trained.pth.tar")
    np.testing.assert_array_equal(network_state(model)["classifier.weight"], state["classifier.weight"])


def test_the_number_of_classes_is_that_of_the_checkpoint(folder: Path, tmp_path: Path) -> None:
    table = NetworkTable("ghostnet", GhostNet(**{**vars(TINY), "classes": 1000}))
    assert import_weights(folder / "plain.pth", table, tmp_path / "w.safetensors")["classes"] == 3


def test_another_number_of_classes_than_was_asked_for_is_refused(folder: Path, tmp_path: Path) -> None:
    table = NetworkTable("ghostnet", GhostNet(**{**vars(TINY), "classes": 10}))
    with pytest.raises(ArtifactError, match=r"other shapes for 2 weights \(classifier\.weight \[3, 8\], not \[10, 8\]"):
        import_weights(folder / "plain.pth", table, tmp_path / "w.safetensors")


def test_a_dropped_classifier_is_made_anew_by_train_alone(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    import_weights(folder / "plain.pth", TABLE, path, drop_classifier=True)
    load_weights(ghostnet.build(GhostNet(**{**vars(TINY), "classes": 7})), path, without="classifier.")
    with pytest.raises(ArtifactError, match=r"lacks 2 weights \(classifier\.weight, classifier\.bias\)"):
        load_weights(ghostnet.build(TINY), path)


def test_export_gives_back_what_was_imported(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    import_weights(folder / "plain.pth", TABLE, first)
    model = ghostnet.build(TINY)
    load_weights(model, first)
    model.save(tmp_path / "m.keras")
    assert export_weights(tmp_path / "m.keras", second, places=None) == len(network_state(model))  # type: ignore[arg-type]
    assert first.read_bytes() == second.read_bytes()


class Runs:
    """What a malicious checkpoint holds: unpickled, it runs a command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("wrap", [lambda content: zipped(content, {}), bytes], ids=["zip", "plain pickle"])
def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not(tmp_path: Path, wrap: Any) -> None:
    path, marker = tmp_path / "evil.pth", tmp_path / "it ran"
    path.write_bytes(wrap(pickle.dumps({"conv_stem.weight": Runs(marker)}, protocol=2)))
    with pytest.raises(ArtifactError, match=r"it asks to call (posix|nt)\.system, which is no part of a state dict"):
        read_torch(path)
    assert not marker.exists()


FOUR = {"0": struct.pack("<4f", 1, 2, 3, 4)}


def test_a_tensor_written_by_hand_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.pth"
    path.write_bytes(zipped(pickled({"a": Tensor((2, 2), (1, 2))}), FOUR))
    np.testing.assert_array_equal(read_torch(path)["a"], [[1, 3], [2, 4]])


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor((5,), (1,)),
        Tensor((2, 2), (1, 4)),
        Tensor((4,), (1,), offset=1),
        Tensor((1 << 40,), (0,)),  # four terabytes out of one value
        Tensor((1 << 32, 1 << 32), (0, 0)),
        Tensor((4,), (-1,), offset=3),
        Tensor((-1,), (1,)),
    ],
)
def test_a_tensor_that_reaches_outside_its_values_is_refused(tmp_path: Path, tensor: Tensor) -> None:
    path = tmp_path / "t.pth"
    path.write_bytes(zipped(pickled({"a": tensor}), FOUR))
    with pytest.raises(ArtifactError, match=r"(outside its 4 values|a negative size|more values than the file)"):
        read_torch(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    content = pickled({"a": Tensor((4,), (1,))})
    path.write_bytes(zipped(content, {"0": bytes(64 << 20)}, compression=zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < 100_000
    with pytest.raises(ArtifactError, match=r"its members are compressed, which torch\.save never does"):
        read_torch(path)


def test_a_pickle_that_asks_for_a_huge_memo_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "memo.pth"
    path.write_bytes(
        zipped(b"\x80\x02}r" + struct.pack("<I", 0xFFFFFFF0) + b".", {})
    )  # 32 GB of pointers in C's unpickler
    with pytest.raises(ArtifactError, match="a memo of 4294967280 entries"):
        read_torch(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_checkpoint_is_refused(folder: Path, tmp_path: Path, name: str, share: float) -> None:
    content = (folder / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ArtifactError, match="is not a readable PyTorch checkpoint"):
        import_weights(path, TABLE, tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()


@pytest.mark.parametrize("name", ["plain.pth", "before_1_6.pth"])
def test_a_flipped_byte_never_ends_in_a_traceback(folder: Path, tmp_path: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    path = tmp_path / name
    for position in np.random.default_rng(0).integers(0, len(content), 300):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except GhostEdgeError:
            continue


def test_a_checkpoint_of_another_width_says_which(folder: Path, tmp_path: Path) -> None:
    wide = NetworkTable("ghostnet", GhostNet(**{**vars(TINY), "width": 1.0}))
    with pytest.raises(ArtifactError, match=r"has other shapes for 70 weights .* looks like width 0\.25, asked for 1"):
        import_weights(folder / "plain.pth", wide, tmp_path / "w.safetensors")


def test_unknown_and_missing_keys_are_both_listed(state: dict[str, Any], tmp_path: Path) -> None:
    changed = {key.replace("conv_head", "head"): values for key, values in state.items()}
    save_file(changed, tmp_path / "s.safetensors")
    lacks = (
        r"lacks 2 weights \(conv_head\.weight, conv_head\.bias\); has unknown 2 weights \(head\.bias, head\.weight\)"
    )
    with pytest.raises(ArtifactError, match=lacks):
        import_weights(tmp_path / "s.safetensors", TABLE, tmp_path / "w.safetensors")


def test_counters_of_batches_and_of_profilers_are_no_weights(state: dict[str, Any], tmp_path: Path) -> None:
    counters = {
        f"module.bn1.{name}": np.zeros((), np.int64) for name in ("num_batches_tracked", "total_ops", "total_params")
    }
    save_file({**state, **counters}, tmp_path / "s.safetensors")
    assert read_checkpoint(tmp_path / "s.safetensors").keys() == state.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ghostnet", ("widht=1.0",)), "--set has no key 'widht'; did you mean 'width'?"),
        (("ghostnet", ("width",)), "is not KEY=VALUE as in a recipe"),
        (("gostnet", ()), "did you mean 'ghostnet'?"),
        (("gone.toml", ()), "recipe gone.toml cannot be read"),
    ],
)
def test_a_network_that_is_not_known_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        network_table(*arguments)


def test_a_name_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"expected \.safetensors or \.pth"):
        read_checkpoint(tmp_path / "w.h5")


def test_saved_weights_survive_a_round_trip(tmp_path: Path, state: dict[str, Any]) -> None:
    keras.utils.set_random_seed(0)
    save_weights(ghostnet.build(TINY), tmp_path / "w.safetensors")
    assert read_checkpoint(tmp_path / "w.safetensors").keys() == state.keys()


def test_a_pickle_that_takes_years_to_hash_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ghost_edge.host.networks import state_dict as weights

    monkeypatch.setattr(weights, "_TORCH_TIMEOUT_S", 2.0)
    path = tmp_path / "hash.pth"
    path.write_bytes(
        zipped(b"\x80\x02})" + b"2\x86" * 60 + b"K\x01s.", {})
    )  # a tuple of itself twice, 60 deep, as a key
    with pytest.raises(ArtifactError, match=r"is not a readable PyTorch checkpoint: .*not done after 2 s"):
        read_checkpoint(path)


def test_many_views_of_one_storage_do_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "views.pth"
    views = {f"a{number}": Tensor((4,), (1,)) for number in range(1000)}
    path.write_bytes(zipped(pickled(views), FOUR))
    read_torch(path)  # small ones are weights that layers share
    path.write_bytes(
        zipped(pickled(dict.fromkeys(map(str, range(100)), Tensor((10_000,), (1,)))), {"0": bytes(40_000)})
    )
    with pytest.raises(ArtifactError, match="its tensors hold more values than the file has bytes"):
        read_torch(path)


def test_a_weight_that_is_there_twice_is_refused(state: dict[str, Any], tmp_path: Path) -> None:
    save_file({**state, "module.bn1.weight": state["bn1.weight"]}, tmp_path / "s.safetensors")
    with pytest.raises(ArtifactError, match="holds some weights twice"):
        read_checkpoint(tmp_path / "s.safetensors")


def test_a_checkpoint_of_another_kind_of_network_lists_its_keys(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"lacks \d+ weights .*has unknown \d+ weights"):
        import_weights(folder / "plain.pth", network_table("mobilenet_v3_small", ()), tmp_path / "w.safetensors")
