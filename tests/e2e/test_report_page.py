"""report.html in a real browser: everything shows, nothing runs, nothing is asked for."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomllib
from axe_playwright_python.sync_playwright import Axe
from browser import chromium, open_page

from ghost_edge.core.files import sha256_file
from ghost_edge.core.manifest import read_manifest, write_manifest
from ghost_edge.host.accuracy.evaluate import load_disagreements, save_disagreements
from ghost_edge.host.report.read import read_run
from ghost_edge.host.tflite.graph import read_model

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]
SCRIPT = "<script>alert(1)</script>"
LONG = "<b>" + 4090 * "x" + "</b>"
OUTSIDE = """plot => {
  const frame = plot.getBoundingClientRect();
  return [...plot.querySelectorAll("text")].filter(text => {
    const box = text.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1;
  }).map(text => text.textContent);
}"""  # labels that are cut off
PLOTS_OF_A_RUN = 8  # noise, depthwise weights, four histograms, latency, memory


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def pages(converted: Path, ghost_edge: Command, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of one run, of two side by side, and of one in which a stranger chose the names."""
    folder = tmp_path_factory.mktemp("pages")
    made = ghost_edge("report", converted, converted, "-o", folder / "runs.html")
    assert made.returncode == 0, made.stderr
    made = ghost_edge("report", hostile(converted, folder / "hostile"))
    assert made.returncode == 0, made.stderr
    return {
        "run": converted / "report.html",
        "runs": folder / "runs.html",
        "hostile": folder / "hostile" / "report.html",
    }


def hostile(converted: Path, folder: Path) -> Path:
    """A run whose classes, layers and recipe are called what somebody else likes, in which the models disagree."""
    shutil.copytree(converted, folder)
    manifest = read_manifest(folder)
    names = (SCRIPT, LONG, *manifest.class_names[2:])
    write_manifest(dataclasses.replace(manifest, class_names=names, recipe={"name": SCRIPT, LONG: LONG}), folder)
    rows = json.loads((folder / "layers.json").read_text())
    worst = max((row for row in rows if row["index"] is not None), key=lambda row: row["noise"])
    worst["name"], worst["causes"] = f"net/{SCRIPT}/$x^", [SCRIPT, LONG]
    (folder / "layers.json").write_text(json.dumps(rows))
    logits = 2 * np.eye(10, dtype=np.float32)[[0, 1, 2]]
    images = list(np.zeros((3, 28, 28, 1), np.uint8))
    save_disagreements(images, np.array([0, 1, 2]), logits, logits[[1, 0, 2]], folder / "disagreements.npz")
    record(folder)
    return folder


def record(folder: Path) -> None:
    """Write chain.json as if the chain had made the files as they are now."""
    table = json.loads((folder / "chain.json").read_text())
    for made in table.values():
        made["files"] = {name: sha256_file(folder / name) for name in made["files"]}
    (folder / "chain.json").write_text(json.dumps(table))


@pytest.mark.parametrize("name", ["run", "runs", "hostile"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_plot_is_whole_and_nothing_is_wider_than_the_window(
    browser: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    page, _ = open_page(browser, pages[name], width=width)
    boxes = [plot.bounding_box() for plot in page.query_selector_all("figure svg")]
    assert len(boxes) == (5 if name == "runs" else PLOTS_OF_A_RUN)
    for box in boxes:
        assert box["width"] >= 300
        assert box["height"] >= 80
    assert [plot.evaluate(OUTSIDE) for plot in page.query_selector_all("figure svg")] == [[]] * len(boxes)
    for box in boxes:
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


@pytest.mark.parametrize("name", ["run", "runs", "hostile"])
def test_the_console_is_silent_and_no_request_leaves_the_file(browser: Any, pages: dict[str, Path], name: str) -> None:
    page, seen = open_page(browser, pages[name])
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    asked = [address for address in seen.requests if not address.startswith("data:")]
    assert (seen.messages, asked) == ([], [pages[name].resolve().as_uri()])
    page.close()


@pytest.mark.parametrize("name", ["run", "runs"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, pages: dict[str, Path], name: str, scheme: str) -> None:
    page, _ = open_page(browser, pages[name], scheme=scheme)
    found = Axe().run(page).response
    serious = [
        (each["id"], each["nodes"][0]["html"][:200])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert "color-contrast" in {each["id"] for each in found["passes"]}  # it was looked at
    page.close()


def test_what_strangers_wrote_stays_text(browser: Any, pages: dict[str, Path]) -> None:
    page, seen = open_page(browser, pages["hostile"])
    assert (seen.dialogs, len(page.query_selector_all("script, b"))) == ([], 0)
    text = page.inner_text("body")
    assert text.count(SCRIPT) >= 5  # two images' labels and answers, a layer, its cause, the recipe
    assert "xxxx" in text
    page.close()


def test_a_disagreement_shows_both_answers_and_how_sure_they_were(browser: Any, pages: dict[str, Path]) -> None:
    page, _ = open_page(browser, pages["hostile"])
    first = page.inner_text(".images li")
    # softmax of (2, 0, ..., 0): e**2 / (e**2 + 9) = 0.451
    assert re.search(
        rf"labelled {re.escape(SCRIPT)}\nfloat: {re.escape(SCRIPT)}, 45\s% \(right\)\nquantized: <b>x", first
    )
    assert page.evaluate("document.querySelector('.images img').naturalWidth") == 28
    page.close()


def test_in_print_it_is_the_light_theme_and_every_table_fits(browser: Any, pages: dict[str, Path]) -> None:
    page, _ = open_page(browser, pages["run"], width=720, scheme="dark")  # A4 without its margins, in CSS pixels
    page.emulate_media(media="print")
    style = "(s => [s.color, s.backgroundColor, s.getPropertyValue('--c4')])(getComputedStyle(document.body))"
    assert page.evaluate(style) == ["rgb(27, 31, 36)", "rgb(255, 255, 255)", "#e69f00"]
    assert not page.is_visible("nav")
    widths = [table.bounding_box() for table in page.query_selector_all("table")]
    assert [box["x"] + box["width"] <= 720 for box in widths] == [True] * len(widths)
    page.close()


def test_the_page_says_what_the_manifest_says(browser: Any, pages: dict[str, Path], converted: Path) -> None:
    page, _ = open_page(browser, pages["run"])
    text, manifest = page.inner_text("body"), read_manifest(converted)
    for model in manifest.models:
        assert f"{model.artifact.file}\t{model.artifact.size_bytes:,}" in text
    quantized = next(model for model in manifest.models if model.role == "quantized")
    assert quantized.accuracy is not None
    drop, margin = quantized.accuracy.drop * 100, quantized.accuracy.margin * 100
    assert f"a drop of {drop:.2f} ± {margin:.2f} points" in text
    assert page.inner_text("h1 + p") == "Gate: PASS"
    assert "of 1,600 evaluation images as the float model does (limit: at least 98.50%)" in text
    assert "The weights were trained for 60 epochs on 3200 images." in text
    changed = round((1 - quantized.accuracy.agreement) * 1600)
    assert f"ghostnet_mnist_int8.tflite: {changed} of 1,600" in text
    page.close()


def test_a_refused_model_says_no_on_top(browser: Any, converted: Path, tmp_path: Path, ghost_edge: Command) -> None:
    shutil.copytree(converted, tmp_path / "run")
    reason = "m_int8.tflite: top-1 dropped by 9.00% ± 1.00%; the limit is 0.50%"
    write_manifest(dataclasses.replace(read_manifest(tmp_path / "run"), gate=(reason,)), tmp_path / "run")
    assert ghost_edge("report", tmp_path / "run").returncode == 0
    page, _ = open_page(browser, tmp_path / "run" / "report.html")
    assert page.inner_text("header").startswith(f"ghostnet_mnist\n\nGate: FAIL\n\n{reason}")
    page.close()


def test_a_boards_bench_adds_its_times(browser: Any, converted: Path, tmp_path: Path, ghost_edge: Command) -> None:
    document = json.loads((converted / "latency.json").read_text())
    document["board"].update(model="Zynq Zybo Z7", cpu="Cortex-A9")
    (tmp_path / "board.json").write_text(json.dumps(document))
    made = ghost_edge("report", converted, tmp_path / "board.json", "-o", tmp_path / "page.html")
    assert made.returncode == 0, made.stderr
    page, _ = open_page(browser, tmp_path / "page.html")
    assert "Zynq Zybo Z7, Cortex-A9" in [each.inner_text() for each in page.query_selector_all("#latency h3")]
    page.close()


def test_the_images_are_those_on_which_the_models_disagree(converted: Path) -> None:
    seen = np.load(converted / "predictions.npz")
    kept = load_disagreements(converted / "disagreements.npz")
    apart = np.flatnonzero(seen["answers_float"] != seen["answers_quantized"])
    assert sorted(each.position for each in kept) == apart.tolist()
    for each in kept:
        answers = seen["answers_float"][each.position], seen["answers_quantized"][each.position]
        assert each.answers == answers
    sure = [each.confidence[0] for each in kept]
    assert sure == sorted(sure, reverse=True)


def test_nodes_have_a_number_for_each_operation(converted: Path) -> None:
    latency, noise = (
        json.loads((converted / f"nodes_{name}.json").read_text())["main"]["results"] for name in ("latency", "sqnr")
    )
    rows = {str(row["index"]): row["sqnr_db"] for row in json.loads((converted / "layers.json").read_text())}
    graph = read_model(converted / "ghostnet_mnist_int8.tflite")
    assert list(latency) == [str(index) for index in range(len(graph.operations))]
    assert min(each["value"] for each in latency.values()) > 0
    assert {index: each["value"] for index, each in noise.items()} == {
        index: pytest.approx(value, abs=1e-4) for index, value in rows.items() if index != "None" and value is not None
    }


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("gone",), r"gone does not exist|gone/manifest\.json does not exist", 4),
        (
            ("RUN", "RUN"),
            "several folders make one page that belongs to none of them; name it with -o comparison.html",
            2,
        ),
        (("bench.json",), "bench.json is a bench; name the folder of its models before it", 2),
    ],
)
def test_a_mistake_is_one_line(
    converted: Path, ghost_edge: Command, arguments: tuple[str, ...], message: str, code: int
) -> None:
    run = ghost_edge("report", *(str(converted) if each == "RUN" else each for each in arguments))
    assert (run.returncode, len(run.stderr.splitlines())) == (code, 1)
    assert re.search(message, run.stderr)


@pytest.mark.parametrize("name", ["layers.json", "parity.json", "disagreements.npz", "latency.json"])
def test_a_file_of_another_run_is_refused(converted: Path, tmp_path: Path, ghost_edge: Command, name: str) -> None:
    shutil.copytree(converted, tmp_path / "run")
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes() + b" ")
    run = ghost_edge("report", tmp_path / "run")
    assert run.returncode == 4
    assert f"{name} is not as ghost-edge convert left it here" in run.stderr


@pytest.mark.parametrize("change", ["gone", "of an earlier recipe"])
def test_without_the_equalized_model_the_float_weights_are_shown_alone(
    converted: Path, tmp_path: Path, change: str
) -> None:
    shutil.copytree(converted, tmp_path / "run")
    if change == "gone":  # as after cp out/name/*
        (tmp_path / "run" / ".equalized.tflite").unlink()
    else:
        table = json.loads((tmp_path / "run" / "chain.json").read_text())
        for made in table.values():
            made["files"].pop(".equalized.tflite", None)
        (tmp_path / "run" / "chain.json").write_text(json.dumps(table))
    assert {len(files) for files in read_run(converted).weights.values()} == {2}
    assert {len(files) for files in read_run(tmp_path / "run").weights.values()} == {1}


@pytest.mark.parametrize("content", ["null", "[{}]", '[{"index": 0}]', "{"])
def test_layers_of_another_version_are_refused(
    converted: Path, tmp_path: Path, ghost_edge: Command, content: str
) -> None:
    shutil.copytree(converted, tmp_path / "run")
    (tmp_path / "run" / "layers.json").write_text(content)
    record(tmp_path / "run")
    run = ghost_edge("report", tmp_path / "run")
    assert (run.returncode, len(run.stderr.splitlines())) == (4, 1)
    assert "layers.json is not what convert of this version writes" in run.stderr


def test_ten_runs_and_a_sweep_of_threads_are_all_shown(
    browser: Any, converted: Path, tmp_path: Path, ghost_edge: Command
) -> None:
    document = json.loads((converted / "latency.json").read_text())
    document["results"] += [{**row, "threads": 2} for row in document["results"]]
    (tmp_path / "sweep.json").write_text(json.dumps(document))
    made = ghost_edge("report", *[converted] * 9, converted, tmp_path / "sweep.json", "-o", tmp_path / "page.html")
    assert made.returncode == 0, made.stderr
    page, _ = open_page(browser, tmp_path / "page.html")
    rows = page.query_selector_all("table:first-of-type tbody tr")
    assert len([row for row in rows if "ghostnet_mnist" in row.inner_text()]) == 9 + 3  # the last: three times
    for plot, last in (("Memory", "10 ghostnet_mnist"), ("Distributions", "10.3 ghostnet_mnist"), ("Accuracy", "10.3")):
        svg = page.query_selector(f"svg[aria-label^={plot}]")
        assert any(text.inner_html().strip().startswith(last) for text in svg.query_selector_all("text"))
        assert svg.evaluate(OUTSIDE) == []
    page.close()


def test_the_recipe_on_the_page_is_the_recipe(browser: Any, pages: dict[str, Path], converted: Path) -> None:
    page, _ = open_page(browser, pages["run"])
    shown = next(each.inner_text() for each in page.query_selector_all("pre") if "[network]" in each.inner_text())
    assert tomllib.loads(shown) == read_manifest(converted).recipe
    page.close()


def test_a_folder_of_an_older_convert_says_to_convert_again(
    converted: Path, tmp_path: Path, ghost_edge: Command
) -> None:
    shutil.copytree(converted, tmp_path / "run")
    (tmp_path / "run" / "chain.json").unlink()
    (tmp_path / "run" / "report.html").unlink()
    run = ghost_edge("report", tmp_path / "run")
    assert run.returncode == 4
    assert "run it again" in run.stderr
    assert not (tmp_path / "run" / "report.html").exists()
