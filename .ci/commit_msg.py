#!/usr/bin/env python3
"""Hook commit-msg: refuse a message that is not `area: verb object` with a body that says why."""

from __future__ import annotations

import re
import sys
from pathlib import Path

MOST = 72  # characters of the subject
SUBJECT = re.compile(r"(?P<area>[a-z0-9][\w./, -]*): (?P<verb>[a-z][a-z-]*) (?P<object>\S.*)")
NO_VERB = re.compile("a|an|the|this|that|of|from|by|as|it|its|for|in|on|to|no|not|and|or|with|new|one|what|whether")
PAST_OR_ING = re.compile("(?!(?:bring|embed|feed|need|proceed|seed|shed|speed|string)$).*(?:ed|ing)")
MADE_BY_GIT = ("Merge ", "fixup! ", "squash! ", "amend! ")


def faults(message: str) -> list[str]:
    """List what is wrong with a commit message; git's own messages are taken as they are."""
    text = message.split("# ------------------------ >8", 1)[0]
    subject, *rest = [line.rstrip() for line in text.splitlines() if not line.startswith("#")] or [""]
    if subject.startswith(MADE_BY_GIT):
        return []
    found = list(_subject_faults(subject))
    if rest and rest[0]:
        found.append("the second line is not empty; leave a line between subject and body")
    if not any(line.strip() and not re.match(r"[A-Z][\w-]+: \S+$|[\w-]+-by: ", line) for line in rest):
        found.append("there is no body; say in one or two sentences why")
    return found


def _subject_faults(subject: str) -> list[str]:
    found = []
    if len(subject) > MOST:
        found.append(f"the subject has {len(subject)} characters; at most {MOST} are read in a log")
    if subject.endswith("."):
        found.append("the subject ends with a full stop; leave it out")
    parts = SUBJECT.fullmatch(subject)
    if parts is None:
        found.append(f"the subject is {subject!r}; write `area: verb object`, such as `gate: refuse an empty baseline`")
    elif NO_VERB.fullmatch(parts["verb"]) or PAST_OR_ING.fullmatch(parts["verb"]):
        found.append(f"{parts['verb']!r} is no verb in the imperative; write `area: verb object`, verb first")
    return found


if __name__ == "__main__":
    if wrong := faults(Path(sys.argv[1]).read_text(encoding="utf-8")):
        sys.exit("commit message: " + "\ncommit message: ".join(wrong))
