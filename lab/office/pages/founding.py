"""How the office of both years begins: keys and the very first edition, by command."""

from __future__ import annotations

from pathlib import Path

from lab.terminal import Terminal

from ..refused.samples import DECISION


def found(people: Terminal, office: Path, keys: Path) -> None:
    for words in (
        ("publication new-registry", office),
        ("publication begin", office, "--keys", keys),
        ("report new-key", office, keys / "officer.pem"),
        (DECISION[0], office, *DECISION[1:]),
        ("refusal new-key", office, "--new", keys / "refusals.pem", "--why", "first key"),
    ):
        people.shown(*words)
