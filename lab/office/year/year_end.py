"""The evaluation of the year, and the verification of all its results."""

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from idtone.core.signed_notes import Signer
from idtone.ledger.keys.key_ring import KeyRing

from .flow_picture import Box, Rows, Tone
from .member_onboarding import CALLS
from .office_year import RESELLER, WHOLESALER, OfficeYear, days, localise, now, only

WITNESS: Final = Signer("witness.example/1", secrets.token_bytes(32))
"""A witness that cosigns the heads of the members' ledgers, as an external one does."""


def evaluate(year: OfficeYear, picture: Path) -> tuple[Mapping[str, Any], Rows]:
    """Evaluate the members and publish the results.

    The members send the year's figures, cosigned by a witness. Anyone can verify the badge.
    """
    entered = ("--list", "https://association.test/operators/", "--witness", WITNESS.cosigner, "--why", "decided")
    year.json("evaluation", "enter-criteria", "--folder", year.office, *entered)
    period = ("--since", days(-365), "--until", days(-1))
    figures = year.folder / "figures"
    for member in CALLS:
        _cosign(year, member)
        year.member(member, "evaluation", "figures", *period, "-o", figures)
        year.member(member, "evaluation", "send", figures)
        figures.unlink()
    for kind, words in (
        ("contact", ("--day", days(-200), "--result", "good")),
        ("form", ("--day", days(-150), "--result", "good")),
        ("assessor", ("--day", days(-1), "--what", "外部評価者 甲", "--points", "9")),
        ("assessor", ("--day", days(-1), "--what", "外部評価者 乙", "--points", "9.5")),
    ):
        year.json("evaluation", "observe", "--folder", year.office, kind, WHOLESALER, *words)
    found = year.json(
        "evaluation", "run", "--folder", year.office, *period, "--enter", "--why", "evaluation of the year"
    )
    year.publish("registry", "duty")
    year.authority("evaluation list", "--plot", picture, "--member", WHOLESALER, "--member", RESELLER)
    badge = only(year.site.glob("evaluation/*.svg"))
    genuine = year.json("evaluation", "verify", year.site, badge, "--trust", year.root)
    changed = year.folder / badge.name
    changed.write_text(badge.read_text("utf-8").replace(WHOLESALER, RESELLER), "utf-8")
    forged = year.json("evaluation", "verify", year.site, changed, "--trust", year.root, code=1)
    grades = {each["member"]: each["grade"] for each in found["members"]}
    return {
        "grade": grades[WHOLESALER],
        "without": grades[RESELLER],
        "badge": genuine["good"],
        "forged": forged["good"],
    }, ()


def _cosign(year: OfficeYear, member: str) -> None:
    settings = year.settings(member)
    keys = KeyRing.of(settings.ledger, settings.node)
    latest = keys.seen.latest(keys.signer.key)
    assert latest
    keys.cosigned.remember(latest[0].with_lines([WITNESS.cosign(latest[0].text, int(now().timestamp()))]))


def verify(year: OfficeYear, _: Path) -> tuple[Mapping[str, Any], Rows]:
    """Verify the ledgers of the office and the members. A stranger verifies the public list offline."""
    ledger = year.json("ledger", "verify", "-c", year.office / "ledger" / "idtone.yaml")
    members = [year.member_json(member, "ledger", "verify")["faults"] for member in (WHOLESALER, RESELLER)]
    history = year.json("history", "show", "--folder", year.office)
    copy = year.folder / "stranger"
    shutil.copytree(year.site, copy)
    listed = year.json("verify", "operators", copy, "--trust", year.root)
    operators = copy / "operators.json"
    operators.write_text(operators.read_text("utf-8").replace("Harbour", "Harbor"), "utf-8")
    year.output("verify", "operators", copy, "--trust", year.root, code=2)
    faults, verified = [len(ledger["faults"]), sum(map(len, members))], localise("verify", "検証")
    stranger = localise("a stranger", "第三者")
    rows = [
        [Box(name, arrow=verified), Box(f"{localise('faults', '不整合')}: {count}", tone=Tone.GOOD)]
        for name, count in zip(
            (
                localise("the office's ledger", "事務局の台帳"),
                localise("two members' ledgers", "会員二社の台帳"),
            ),
            faults,
            strict=True,
        )
    ]
    rows += [
        [
            Box(localise("the public list", "公開リスト"), arrow=stranger),
            Box(localise("genuine", "真正"), tone=Tone.GOOD),
        ],
        [
            Box(localise("one letter changed", "一文字を改変"), arrow=stranger),
            Box(localise("refused", "拒否"), tone=Tone.BAD),
        ],
    ]
    return {"faults": sum(faults), "history": len(history), "listed": len(listed["operators"])}, rows
