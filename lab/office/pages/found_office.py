"""The start of the office in both years, with commands: the keys and the first edition. Applicants apply online."""

from pathlib import Path

from lab.terminal import Terminal

from ..refused.samples import DECISION


def found_office(people: Terminal, office: Path, keys: Path) -> None:
    for words in (
        ("publication new-registry", "--folder", office),
        ("publication begin", "--folder", office, "--keys", keys),
        ("report new-key", "--folder", office, keys / "officer.pem"),
        (*DECISION, "--folder", office),
        ("refusal new-key", "--folder", office, "--new", keys / "refusals.pem", "--why", "first key"),
    ):
        people.output(*words)
    (office / "authority.yaml").write_text("applications: {online: true}\n")
