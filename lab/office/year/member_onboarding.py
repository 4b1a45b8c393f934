"""The start of the office. Members join the association, resell numbers, and register their nodes."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from idtone.core.decision import Policy, decide
from idtone.registry.local_registry import from_folder
from lab.ledger.sample_evidence import NOW as CALLED_AT
from lab.ledger.sample_evidence import heard_call

from ..applicant import ENTRIES, PLEDGE, hand_in
from ..refused.samples import DECISION
from .calls_and_reports import forwarded_call
from .flow_picture import Box, Rows, Tone
from .office_year import CONFIG, NAMES, REPORTED, RESELLER, WHOLESALER, OfficeYear, days, localise, now

APPLIED: Final = {WHOLESALER: ['"0362345678"', '"0362345700-0362345799"'], RESELLER: ['"0462345600-0462345699"']}
"""Member → the numbers that it applies for."""
CALLS: Final = {WHOLESALER: 150, RESELLER: 20}
"""Member → number of its calls in the year before. The criteria require 100 for a ratio."""


def begin(year: OfficeYear, _: Path) -> tuple[Mapping[str, Any], Rows]:
    """Create the first files, the keys and the first edition, including the keys that the desk needs."""
    year.authority("publication new-registry")
    made = year.json("publication", "begin", "--folder", year.office, "--keys", year.keys)
    shutil.copy(made["root"], year.root)
    year.authority("report new-key", year.keys / "officer.pem")
    year.authority(*DECISION)
    refusals = year.keys / "refusals.pem"
    year.authority("refusal new-key", "--new", refusals, "--why", "first key")
    year.start_desk("--refusal-key", refusals)
    rows = [
        [Box(f"root × {_count(year, 'root')}", arrow="2"), Box("root.json", made["root_sha256"][:24] + "…")],
        [Box(f"registry × {_count(year, 'registry')}", arrow="2"), Box("registry.yaml")],
        [Box(f"duty × {_count(year, 'duty')}", arrow="2"), Box("suspensions.yaml")],
    ]
    keys = sum(_count(year, name) for name in ("root", "registry", "duty"))
    return {"keys": keys, "signed": len(made["roles"])}, rows


def _count(year: OfficeYear, of_set: str) -> int:
    return len(list(year.keys.glob(f"{of_set}-*.pem")))


def admit(year: OfficeYear, _: Path) -> tuple[Mapping[str, Any], Rows]:
    """Let two members apply, and examine their applications.

    The office refuses the second member, which applies again and is granted. A third member applies through the public
    form and waits.
    """
    first, second, again = (
        _application(year, *each) for each in ((WHOLESALER, "A-1"), (RESELLER, "A-2"), (RESELLER, "A-3"))
    )
    for file in (first, second):
        year.output("registry", "check", file)
        year.authority("application accept", file)
    year.authority("application review", "A-1", "--result", "passed", "--why", "documents agree")
    year.authority("application grant", "A-1", "--until", days(365))
    year.authority("application review", "A-2", "--result", "refused", "--why", "a certificate is missing")
    year.authority("application grant", "A-2", "--until", days(365), code=2)
    year.authority("application accept", again)
    year.authority("application review", "A-3", "--result", "passed", "--why", "the certificate has come")
    year.authority("application grant", "A-3", "--until", days(365))
    year.publish("registry", "duty")
    for member in (WHOLESALER, RESELLER):
        make_node(year, member)
    hand_in(year.office, ENTRIES, PLEDGE)
    states = {each["id"]: each["status"] for each in year.json("application", "list", "--folder", year.office, "--all")}
    tones = {"granted": Tone.GOOD, "refused": Tone.BAD}
    again = localise("again", "再申請")
    rows = [
        [
            Box(member, NAMES[member]),
            *(Box(id_, states[id_], tone=tones.get(states[id_], Tone.WAITING), arrow=again) for id_ in ids),
        ]
        for member, ids in ((WHOLESALER, ["A-1"]), (RESELLER, ["A-2", "A-3"]))
    ]
    licensed = json.loads((year.site / "operators.json").read_text("utf-8"))
    return {**states, "licensed": len(licensed["operators"])}, rows


def _application(year: OfficeYear, member: str, id_: str) -> Path:
    """An application from the sample in config/, with the member's id, names and numbers."""
    text = (CONFIG / "member_application.yaml").read_text("utf-8")
    japanese, english = NAMES[member].split(" / ")
    text = re.sub(r"id: A-2026-0001", f"id: {id_}", text)
    text = re.sub(r"received: \S+", f"received: {days()}", text)
    text = re.sub(r"id: m-0101", f"id: {member}", text)
    text = re.sub(r"name: \{.*\}", f"name: {{ja: {japanese}株式会社, en: {english}}}", text)
    text = re.sub(r"numbers:\n.*", f"numbers: [{', '.join(APPLIED[member])}]\n", text, flags=re.DOTALL)
    file = year.folder / f"{id_}.yaml"
    file.write_text(text, "utf-8")
    return file


def pledge(year: OfficeYear, _: Path) -> tuple[Mapping[str, Any], Rows]:
    """Let the members sign the pledge. No licence is valid without it."""
    text = year.folder / "pledge.md"
    shutil.copy(CONFIG / "pledge.md", text)
    sha256 = hashlib.sha256(text.read_bytes()).hexdigest()
    for member in NAMES:
        year.authority(
            "member pledge",
            member,
            "--document",
            "見本-1",
            "--sha256",
            sha256,
            "--signatory",
            "代表取締役",
            "--signed",
            days(),
            "--until",
            days(365),
        )
    year.publish("registry", "duty")
    entered = (year.office / "registry.yaml").read_text("utf-8")
    return {"pledges": entered.count(sha256)}, [
        [
            Box(member, name, arrow="SHA-256"),
            Box(f"pledge.md {sha256[:12]}…", f"{days()} – {days(365)}", tone=Tone.GOOD),
        ]
        for member, name in NAMES.items()
    ]


def resell(year: OfficeYear, _: Path) -> tuple[Mapping[str, Any], Rows]:
    """Pass a number on from the wholesaler to the reseller, at first without a check."""
    number = year.folder / "resold.txt"
    number.write_text(f"{REPORTED}\n", "utf-8")
    year.authority("chain add", WHOLESALER, RESELLER, "--why", "wholesale", "--numbers", number)
    before = decided(year)
    year.authority(
        "chain check",
        RESELLER,
        "--checked",
        days(),
        "--document",
        "認定通知書",
        "--by",
        WHOLESALER,
        "--numbers",
        number,
    )
    number.unlink()
    after = decided(year)
    year.publish("registry", "duty")
    chain = year.output("registry", "show", year.office, "--number", typed=f"{REPORTED}\n")
    wholesaler, checked = (WHOLESALER, NAMES[WHOLESALER]), f"{localise('checked', '確認')} {days()}"
    return {"before": before, "after": after, "drawn": f"└── {RESELLER}" in chain}, [
        [Box(*wholesaler), Box(RESELLER, localise("not checked", "未確認"), before, tone=Tone.BAD)],
        [Box(*wholesaler, arrow="認定通知書"), Box(RESELLER, checked, after, tone=Tone.GOOD)],
    ]


def decided(year: OfficeYear) -> str:
    """Reason of the decision about the resold number, according to the office's present files."""
    decision = decide(forwarded_call("c-0"), from_folder(year.office).index(), Policy(member=RESELLER), now())
    return decision.reason.value


def sign_on(year: OfficeYear, _: Path) -> tuple[Mapping[str, Any], Rows]:
    """Enter the keys of two nodes, which then fetch and verify the registry."""
    for member in (WHOLESALER, RESELLER):
        year.authority("node add-key", member, year.member(member, "document", "key").strip())
    year.publish("registry", "duty")
    versions = {}
    for member in (WHOLESALER, RESELLER):
        seen = year.member_json(member, "registry", "update")
        versions[member] = (seen["version"], seen["trust"])
    (version, trust) = versions[WHOLESALER]
    return {"version": version, "trust": trust, "same": versions[WHOLESALER] == versions[RESELLER]}, [
        [
            Box(localise("the association", "協会"), arrow=f"version {version}"),
            Box(f"{member} {NAMES[member]}", f"pbx-1: {trust}", tone=Tone.GOOD),
        ]
        for member, (version, trust) in versions.items()
    ]


def make_node(year: OfficeYear, member: str) -> None:
    """Write the settings of a member's node, and create its ledger with new keys and past calls."""
    home = year.settings_file(member).parent
    home.mkdir()
    year.settings_file(member).write_text(
        f"node: pbx-1\nassociation: {{member: {member}, desk: '{year.desk}'}}\n"
        f"registry: {{source: '{year.office / 'repository'}', trust: '{year.root}', cache: '{home / 'registry'}'}}\n"
        f"customers: {{directory: '{home / 'customers'}'}}\n"
        f"ledger: {{reserve: 0, url: 'sqlite:///{home / 'ledger.sqlite3'}', key_file: '{home / 'ledger.key'}'}}\n",
        "utf-8",
    )
    with year.ledger(member) as writer:
        for number in range(CALLS[member]):
            at = now() - timedelta(days=366 * (1 - number / CALLS[member]))
            for step in heard_call(f"past-{number}", (at - CALLED_AT).total_seconds() * 1000):
                writer.append(step)
