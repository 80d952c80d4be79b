"""A real headless Chromium: what it says about a page. As a program: a screenshot, python browser.py PAGE IMAGE."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

# without these it asks its maker's servers for news at every start
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@dataclasses.dataclass
class Seen:
    """What a page did while it was open: messages of the console, addresses that it asked for, dialogs."""

    messages: list[str] = dataclasses.field(default_factory=list)
    requests: list[str] = dataclasses.field(default_factory=list)
    dialogs: list[str] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Debian's; a test is skipped where it is not installed."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield browser
        browser.close()


def open_page(browser: Any, path: Path, *, width: int = 1280, scheme: str = "light") -> tuple[Page, Seen]:
    """Open a file; scheme: light or dark."""
    page, seen = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme), Seen()
    page.on("console", lambda message: seen.messages.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen.messages.append(f"error: {error}"))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(path.resolve().as_uri())
    return page, seen


if __name__ == "__main__":
    with chromium() as started:
        opened, _ = open_page(started, Path(sys.argv[1]))
        opened.screenshot(path=sys.argv[2], clip={"x": 0, "y": 0, "width": 1280, "height": 1700}, full_page=True)
