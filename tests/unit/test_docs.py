"""The documents' commands have the options that the program has; messages, links and translations hold."""

from __future__ import annotations

import json
import re

import click
import numpy as np
import pytest
import yaml
from documents import DOCUMENTS, REPOSITORY, blocks, command_lines, ghost_edge_calls

from ghost_edge.cli.main import cli
from ghost_edge.core.errors import RecipeError
from ghost_edge.core.gate.checks import holm, least_lost, loss_p, mcnemar_p
from ghost_edge.core.latency import median_interval, ratio_of_blocks
from ghost_edge.core.tasks.classification import compare
from ghost_edge.core.tensor import sqnr_db

CALLS = {
    document: [call for line in command_lines(document) for call in ghost_edge_calls(line.text)]
    for document in DOCUMENTS
}


def parse(arguments: list[str]) -> None:
    """Parse as the program would, without running anything."""
    parent = click.Context(cli, info_name="ghost-edge")
    command: click.Command = cli
    while isinstance(command, click.Group):
        if arguments and arguments[0].startswith("-"):  # options of the group itself, such as --version
            cli.make_parser(parent).parse_args(list(arguments))
            return
        name, *arguments = arguments or [""]
        found = command.get_command(parent, name)
        assert found is not None, f"{command.name} has no command {name!r}"
        command, parent = found, click.Context(found, parent=parent, info_name=name)
    command.make_context(command.name, list(arguments), parent=parent.parent)


@pytest.mark.parametrize("document", CALLS)
def test_the_commands_of_a_document_parse(document: str) -> None:
    for arguments in CALLS[document]:
        parse(arguments)


def test_a_command_with_an_unknown_option_does_not_parse() -> None:
    with pytest.raises(click.NoSuchOption, match="--no-such"):
        parse(["convert", "--no-such"])


def test_a_command_with_a_wrong_choice_does_not_parse() -> None:
    with pytest.raises(click.BadParameter, match="zynq9000"):
        parse(["bundle", "out", "--target", "zynq9000"])


def test_an_unknown_command_does_not_parse() -> None:
    with pytest.raises(RecipeError, match="there is no command 'convrt'"):
        parse(["convrt"])


@pytest.mark.parametrize(
    ("line", "calls"),
    [
        ("ghost-edge gate out --baseline b.json", [["gate", "out", "--baseline", "b.json"]]),
        ('pip install "." && ghost-edge convert', [["convert"]]),
        ("ghost-edge completion bash > file", [["completion", "bash"]]),
        (
            'ghost-edge gate out --markdown "$GITHUB_STEP_SUMMARY"',
            [["gate", "out", "--markdown", "$GITHUB_STEP_SUMMARY"]],
        ),
        ("python -m ghost_edge bench", []),
    ],
)
def test_calls_are_found_in_a_shell_line(line: str, calls: list[list[str]]) -> None:
    assert list(ghost_edge_calls(line)) == calls


def test_every_document_with_commands_is_read() -> None:
    assert {"README.md", "README.zh-CN.md", "docs/tutorial.md", "docs/how-to/ci.md", "docs/how-to/board.md"} <= set(
        DOCUMENTS
    )
    assert sum(map(len, CALLS.values())) > 50  # the parser finds them at all


ORDER = ("Install", "What lies in out/", "Your own images", "On the board", "What int8 costs", "Choose a scheme")
ORDER += ("Other outputs", "CI", "Python", "What is checked", "More")


def test_the_readme_is_short_and_in_the_order_of_a_newcomers_questions() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == ORDER


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readme_links_every_page(readme: str) -> None:
    text = (REPOSITORY / readme).read_text(encoding="utf-8")
    pages = [document for document in DOCUMENTS if document.startswith("docs/")]
    assert len(pages) > 12
    assert [page for page in pages if f"]({page})" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_link_leads_to_a_file(document: str) -> None:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text) if "://" not in link]
    missing = [link for link in links if not (REPOSITORY / document).parent.joinpath(link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_file_of_the_package_that_a_page_names_is_there(document: str) -> None:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    named = re.findall(r"`((?:core|device|host|cli)/[\w/]*(?:\.\w+)?)`", text)
    assert [path for path in named if not (REPOSITORY / "ghost_edge" / path).exists()] == []


def test_the_chinese_readme_has_the_commands_of_the_english_one() -> None:
    english, chinese = (list(command_lines(name)) for name in ("README.md", "README.zh-CN.md"))
    assert chinese == english


def test_the_chinese_readme_has_the_recipe_of_the_english_one() -> None:
    english, chinese = (
        re.sub(r" +#.*", "", "".join(blocks(name, "toml"))) for name in ("README.md", "README.zh-CN.md")
    )
    assert chinese == english


def test_the_chinese_readme_has_the_numbers_of_the_english_one() -> None:
    rows = [
        re.findall(r"^\|.*\d.*\|$", (REPOSITORY / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name in ("README.md", "README.zh-CN.md")
    ]
    english, chinese = ([re.findall(r"\d[\d.,]*", row) for row in table if "%" in row] for table in rows)
    assert chinese == english


@pytest.mark.parametrize(("here", "there"), [("README.md", "README.zh-CN.md"), ("README.zh-CN.md", "README.md")])
def test_each_readme_links_the_other_at_its_top(here: str, there: str) -> None:
    assert f"]({there})" in "".join((REPOSITORY / here).read_text(encoding="utf-8").splitlines(keepends=True)[:5])


def quoted_messages() -> list[str]:
    """First cells of the tables of messages.md: a message in code font, … for what varies."""
    text = (REPOSITORY / "docs" / "reference" / "messages.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def sources() -> str:
    """Everything that the package's files say, with the strings of neighbouring lines joined, as Python does."""
    files = sorted((REPOSITORY / "ghost_edge").rglob("*.py")) + sorted((REPOSITORY / "ghost_edge").rglob("*.sh"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r"[\"']\s*\n\s*(?:\+ )?\(?f?[\"']", "", text.replace("\\n", " "))


SOURCES = sources()


@pytest.mark.parametrize("message", quoted_messages())
def test_a_quoted_message_is_still_said(message: str) -> None:
    parts = [part.strip() for part in message.split("…") if part.strip()]
    missing = [part for part in parts if part not in SOURCES]
    assert missing == [], "docs/reference/messages.md quotes what the program no longer says"


def test_a_message_that_nobody_says_is_noticed() -> None:
    assert "this sentence is said by nobody" not in SOURCES


def test_the_messages_have_every_exit_code() -> None:
    text = (REPOSITORY / "docs" / "reference" / "messages.md").read_text(encoding="utf-8")
    assert re.findall(r"^## Exit (\d+)", text, re.MULTILINE) == ["1", "2", "3", "4", "5", "6", "7", "8", "130"]
    assert len(quoted_messages()) > 40


def drop_of(images: int, lost: int, won: int) -> str:
    image, right = np.arange(images), np.zeros(images, np.int64)
    was, now = (image >= images - won), (image < lost)
    drop = compare(was.astype(int), now.astype(int), right)
    return f"{drop.drop * 100:.2f} ± {drop.margin * 100:.2f}"


def ratio_of(processes: int) -> str:
    blocks = np.array([98, 99, 100, 100, 101, 102.0])
    low, high = ratio_of_blocks(blocks * 1.2, blocks, processes) or (0, 0)
    return f"{low:.2f} to {high:.2f}"


RUNS = np.array([100, 101, 99, 100, 102, 180.0])
ADJUSTED = holm([mcnemar_p(9, 2), mcnemar_p(5, 1), mcnemar_p(1, 1)])


@pytest.mark.parametrize(
    ("sentence", "computed"),
    [
        ("200 images, 4 lost, 1 won: drop {} points", drop_of(200, 4, 1)),
        ("200 images and no difference at all: {}.", drop_of(200, 0, 0)),
        ("1,000 images, 5 lost, 2 won: {}.", drop_of(1000, 5, 2)),
        (
            "Logits 4, -2, 1 that become 4.1, -2.05, 0.9: {} dB",
            f"{sqnr_db(np.array([[4, -2, 1]], np.float32), np.array([[4.1, -2.05, 0.9]], np.float32)):.1f}",
        ),
        ("and 180 µs: median {}", f"{np.median(RUNS)}, MAD {np.median(abs(RUNS - np.median(RUNS)))}"),
        ("their mean would be {}", f"{RUNS.mean():.1f} ± {RUNS.std():.1f}"),
        ("28 · 28 · 32 · 3 · 3 · 16 = {}", f"{28 * 28 * 32 * 9 * 16:,}"),
        ("28 · 28 · 32 · 3 · 3 = {}.", f"{28 * 28 * 32 * 9:,}"),
        ("9 lost, 2 won: p = {}.", f"{mcnemar_p(9, 2):.3f}"),
        ("5 lost, none won: p = {}.", f"{mcnemar_p(5, 0):.3f}"),
        ("In three tests p = 0.033, {} and 0.75", f"{mcnemar_p(5, 1):.3f}"),
        ("become {}: no alarm", "{:.3f}, {:.3f} and {:.2f}".format(*ADJUSTED)),
        ("{} of six processes each", ratio_of(6)),
        ("of six processes each, {} of one", ratio_of(1)),
        ("`max_loss = 0.006`: {}.", "p < 0.0001" if loss_p(40, 0, 2000, 0.006) < 1e-4 else "another"),
        ("none won is the least (p = {} < 0.01", f"{mcnemar_p(7, 0):.4f}"),
        ("6 lost: {})", f"{mcnemar_p(6, 0):.3f}"),
    ],
)
def test_an_example_of_the_numbers_is_computed(sentence: str, computed: str) -> None:
    text = " ".join((REPOSITORY / "docs" / "reference" / "numbers.md").read_text(encoding="utf-8").split())
    assert sentence.format(computed) in text


def test_the_ranks_of_the_median_are_those_that_are_told() -> None:
    blocks = np.repeat(np.arange(1, 21), 5)  # of five runs each
    assert median_interval(blocks) == (6, 15)
    assert median_interval(np.arange(1, 7)) == (1, 6)
    assert median_interval(np.arange(1, 6)) is None


def test_350_images_judge_what_200_do_not() -> None:
    assert [least_lost(5) <= images * 0.02 for images in (200, 349, 350)] == [False, False, True]


ACTION = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
YAML = [yaml.safe_load(block) for block in blocks("docs/how-to/ci.md", "yaml")]


def test_the_example_gives_the_action_inputs_that_it_has() -> None:
    steps = YAML[0]["jobs"]["gate"]["steps"]
    given = next(step["with"] for step in steps if "ghost-edge" in step["uses"])
    assert set(given) <= set(ACTION["inputs"])
    assert {name for name, put in ACTION["inputs"].items() if put.get("required")} <= set(given)


def test_every_input_of_the_action_is_in_its_table_and_used() -> None:
    text = (REPOSITORY / "docs" / "how-to" / "ci.md").read_text(encoding="utf-8")
    assert [name for name in ACTION["inputs"] if f"`{name}`" not in text] == []
    used = re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", json.dumps(ACTION["runs"]))
    assert sorted(used) == sorted(ACTION["inputs"])


def test_no_input_of_the_action_becomes_part_of_a_script() -> None:
    assert [step["run"] for step in ACTION["runs"]["steps"] if "${{" in step.get("run", "")] == []


def test_the_commands_of_the_gitlab_job_parse() -> None:
    calls = [call for line in YAML[1]["gate"]["script"] for call in ghost_edge_calls(line)]
    assert [call[0] for call in calls] == ["convert", "gate"]
    for call in calls:
        parse(call)


def test_the_commands_of_the_action_parse() -> None:
    script = ACTION["runs"]["steps"][-1]["run"].replace("\\\n", " ")
    plain = re.sub(r'\$\{(\w+):\+(--[\w-]+) "\$\1"\}', r"\2 1", script)
    calls = [call for line in plain.splitlines() for call in ghost_edge_calls(line)]
    assert [call[0] for call in calls] == ["convert", "gate"]
    for call in calls:
        parse(call)
