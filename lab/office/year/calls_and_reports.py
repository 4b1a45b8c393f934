"""Calls, and what the office and the members do about them: reports, suspensions and evidence."""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import urllib3

from idtone.core.calls import Direction, ForwardedCall, Outcome
from idtone.core.decision import decide
from idtone.core.japan_time import JAPAN
from idtone.core.numbers import parse
from idtone.ledger.evidence import steps as evidence
from idtone.ledger.store.sqlite import path_of
from idtone.registry.local_registry import read_local_registry
from idtone.service.suspension_confirmations import LOOK_EVERY_S, SuspensionConfirmations, read_confirmed
from lab.ledger.sample_evidence import SHA256

from .flow_picture import Box, Rows, Tone
from .office_year import (
    OTHER,
    REPORTED,
    RESELLER,
    STOPPED,
    STOPPED_RANGE,
    WHOLESALER,
    OfficeYear,
    StepFailed,
    days,
    localise,
    now,
    only,
)

RECEIPT: Final = re.compile(r'<p class="receipt">([0-9A-Z-]{23})</p>')
WORDS: Final = "銀行員を名乗る男に口座を聞かれた"


def call(year: OfficeYear, member: str, id_: str, at: datetime, number: str = REPORTED) -> str:
    """Record a forwarded call of the number, with its sound heard to the end, and return its outcome.

    The product decides the call according to the registry that the node has verified. No phone rings. Raises StepFailed
    if the call is neither played a sound nor refused.
    """
    settings = year.settings(member)
    forwarded = forwarded_call(id_, number)
    decision = decide(forwarded, read_local_registry(settings.registry).index(), settings.policy.policy(member), at)

    def after(ms: int) -> datetime:
        return at + timedelta(milliseconds=ms)

    steps = [evidence.decided(forwarded, decision, at, nonce="123456789012")]
    if decision.outcome is Outcome.PLAY:
        steps += [
            evidence.answered(id_, after(3000)),
            evidence.sound_started(id_, after(3002), "sample", SHA256),
            evidence.sound_ended(id_, after(3404), 400, known_by="packets", packets=20),
            evidence.connected(id_, after(3406)),
            evidence.ended(id_, after(60_000), evidence.CallStatus.CONNECTED, 16),
        ]
    elif decision.outcome is not Outcome.REFUSE:
        raise StepFailed(f"the call of …{number[-4:]} gets {decision.outcome}, because {decision.reason}")
    else:
        steps += [evidence.ended(id_, after(1), evidence.CallStatus.REFUSED, decision.hangup_cause)]
    with year.ledger(member) as writer:
        for step in steps:
            writer.append(step)
    return decision.outcome.value


def forwarded_call(id_: str, number: str = REPORTED) -> ForwardedCall:
    return ForwardedCall(
        id_, Direction.INCOMING, parse(number), parse("09012345679"), parse("05031234567"), "PJSIP/05031234567@trunk"
    )


def report(year: OfficeYear, _: Path) -> tuple[Mapping[str, Any], Rows]:
    """Report a call on the public page, and trace it.

    The desk asks the reseller that holds the number. The reseller answers that the call came from the wholesaler, which
    then exports the call's evidence.
    """
    at = now()
    outcome = call(year, WHOLESALER, "c-1", at)
    japan = at.astimezone(JAPAN)
    fields = {
        "number": REPORTED, "date": f"{japan:%Y-%m-%d}", "time": f"{japan:%H:%M:%S}", "within_minutes": "10",
        "what": WORDS, "name": "", "contact": "", "website": "",
    }  # fmt: skip
    page = urllib3.request("POST", f"{year.desk}/report", fields=fields, timeout=60).data.decode()
    receipt = RECEIPT.search(page)
    reported = only(year.json("report", "list", "--folder", year.office))
    asked = only(year.member_json(RESELLER, "request", "fetch"))
    upstream = ("--result", "upstream", "--upstream", WHOLESALER)
    year.member(RESELLER, "request", "answer", asked["id"], *upstream, "--yes")
    asked = only(year.member_json(WHOLESALER, "request", "fetch"))
    pack = year.folder / "pack.zip"
    basis = ("--basis", "association", "--reference", asked["id"], "--sealed")
    year.member(WHOLESALER, "ledger", "export", "c-1", "--case", asked["id"], *basis, "-o", pack)
    year.member(WHOLESALER, "request", "answer", asked["id"], "--pack", pack, "--yes")
    shown = year.json("report", "show", "--folder", year.office, reported["id"])
    year.authority("report close", reported["id"], "--result", "traced", "--why", "as the pack shows")
    hops = shown["requests"]
    status = urllib3.request(
        "POST", f"{year.desk}/report/status", fields={"receipt": receipt[1] if receipt else ""}, timeout=60
    )
    asks, calls = localise("asks", "照会"), localise("calls", "通話")
    return {
        "outcome": outcome,
        "answers": ", ".join(hop["result"] for hop in hops),
        "delivery": hops[-1]["delivery"],
        "visitor": "the operator was found" in status.data.decode(),
    }, [
        [
            Box(
                localise("somebody", "申告者"),
                localise("by the public page", "公開ページから"),
                arrow="POST",
            ),
            Box(localise("the desk", "協会窓口"), reported["id"], arrow=asks),
            *(Box(hop["member"], f"{hop['result']}, {calls} {hop['calls']}", tone=Tone.GOOD) for hop in hops),
        ]
    ]


def stop(year: OfficeYear, _: Path) -> tuple[Mapping[str, Any], Rows]:
    """Suspend a number and a range for the police, and confirm the suspensions.

    Two people enter each of them, and the office refuses entries that differ. A node fetches the new edition, refuses
    the calls, and confirms the suspensions.
    """
    asked = ("--requested", now().isoformat(timespec="seconds"))
    number = ("suspension number", "--reference", "R-1", *asked)
    year.authority(*number, typed=f"{STOPPED}\n{OTHER}\n", code=2)
    year.authority(*number, typed=f"{STOPPED}\n{STOPPED}\n")
    year.authority("suspension range", "--reference", "R-2", *asked, typed=f"{STOPPED_RANGE}\n{STOPPED_RANGE}\n")
    year.publish("duty")
    year.member(WHOLESALER, "registry", "update")
    numbers = {"stopped": STOPPED, "in_range": STOPPED_RANGE[:10], "other": OTHER}
    outcomes = {name: call(year, WHOLESALER, f"c-{name}", now(), each) for name, each in numbers.items()}
    confirm(year, WHOLESALER)
    shown = year.json("suspension", "in-force", "--folder", year.office, code=1)
    states = {each["member"]: bool(each["in_use"]) for each in shown}
    said = {
        True: (localise("confirmed", "確認済み"), Tone.GOOD),
        False: (localise("not confirmed", "未確認"), Tone.WAITING),
    }
    rows = [
        [
            Box(each["reference"], arrow=localise("two people", "2 人で入力")),
            Box("suspensions.yaml", arrow=localise("signed twice", "2 人の署名")),
            Box(each["node"] or each["member"], said[bool(each["in_use"])][0], tone=said[bool(each["in_use"])][1]),
        ]
        for each in shown
    ]
    rows += [
        [
            Box(f"{WHOLESALER} …{numbers[name][-4:]}", arrow=localise("a call", "通話")),
            Box(outcome, tone=Tone.BAD if outcome == "REFUSE" else Tone.GOOD),
        ]
        for name, outcome in outcomes.items()
    ]
    return {**outcomes, "confirmed": [states[WHOLESALER], states[RESELLER]]}, rows


def confirm(year: OfficeYear, member: str) -> None:
    """Confirm suspensions as a service does when it starts to use them, but without a running service."""
    settings = year.settings(member)
    registry = read_local_registry(settings.registry).index()

    async def no_calls(_: float) -> bool:
        """True, because no call is in progress."""
        return True

    confirming = SuspensionConfirmations(settings, lambda: registry, no_calls, {})
    ledger = path_of(settings.ledger.own_url())

    async def until_sent() -> None:
        running = asyncio.create_task(confirming.run())
        async with asyncio.timeout(30):
            while read_confirmed(ledger).at is None or confirming.waiting:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)
        running.cancel()

    asyncio.run(until_sent())


def disclose(year: OfficeYear, picture: Path) -> tuple[Mapping[str, Any], Rows]:
    """Disclose the evidence of a call to police with a warrant, who sign for it.

    The year's index lists this pack and the pack for the association.
    """
    pack, paper = year.folder / "warrant.zip", year.folder / "receipt.pdf"
    year.member(
        WHOLESALER,
        "ledger",
        "export",
        "c-stopped",
        "--case",
        "K-1",
        "--basis",
        "warrant",
        "--court",
        "見本簡易裁判所",
        "--valid-until",
        days(7),
        "--authority",
        "見本警察署",
        "--reference",
        "捜発第1号",
        "--scope",
        "一つの番号の通話",
        "--received",
        now().isoformat(timespec="seconds"),
        "-o",
        pack,
    )
    year.member(WHOLESALER, "disclosure", "deliver", pack, "-o", paper)
    year.member(WHOLESALER, "disclosure", "receipt", pack, "--by", "見本警察署 巡査部長", "--on", days())
    year.member(WHOLESALER, "disclosure", "list", "--pdf", picture)
    listed = year.member_json(WHOLESALER, "disclosure", "list")["disclosures"]
    genuine = year.json("verify", "pack", pack, "--log-key", year.member(WHOLESALER, "log", "key").strip())
    return {
        "bases": [each["basis"]["basis"] for each in listed],
        "signed_for": [bool(each["receipt"]) for each in listed],
        "genuine": genuine["good"],
        "paper": picture.read_bytes()[:4].decode(),
    }, ()
