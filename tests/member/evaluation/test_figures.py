"""A member's figures: how a node counts them, and why the desk refuses or doubts them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from idtone.core.errors import IdtoneError, TrustError
from idtone.core.signed_notes import Signer
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.keys.private_files import replace_private
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.member.evaluation.figures import cosigned_by, figures_doubts, figures_objection, figures_of
from idtone.member.evaluation.period import Period
from idtone.office_cli import app
from idtone.registry.correspondence.signed_document import verified_document
from lab.ledger.sample_evidence import KEY, evidence, key_ring_of, url_of
from lab.ledger.sample_evidence import LOG as LEDGER_LOG
from lab.ledger.sample_evidence import SEED as LEDGER_SEED
from lab.ledger.sample_ledger import write
from lab.member.evaluation.sample_figures import (
    LAST_YEAR,
    LOG,
    NODE,
    NOW,
    SEED,
    STRANGER,
    WITNESS,
    YEAR,
    content_of,
    head_of,
    node_figures,
)

LAST = content_of(LAST_YEAR)
OTHER_TREE = Signer("pbx-1/idtone.2", SEED)
HALF = Period.parse("2024-07-01", "2025-06-30")


def months(**different: int) -> list[dict]:
    content = content_of(YEAR)["months"]
    content[3] = {**content[3], **different}
    return content


OBJECTIONS = {
    "they are good": (content_of(YEAR), None),
    "the same period again": (LAST, None),
    "no witness": (content_of(YEAR, head=head_of(YEAR, witness=STRANGER)), "0 of the association's witnesses"),
    "a witness before the end": (
        content_of(YEAR, head=head_of(YEAR, at=YEAR.ends - timedelta(seconds=1))), "since the end of the period",
    ),
    "last year's figures under this year's date": (
        {**LAST, "period": content_of(YEAR)["period"], "months": content_of(YEAR)["months"]}, "since the end",
    ),
    "an overlapping period": (
        content_of(HALF, head=head_of(HALF)), "overlaps the one of earlier figures, 2024-01-01",
    ),
    "a month is missing": (content_of(YEAR, months=months()[1:]), "each month of the period once"),
    "a month twice": (content_of(YEAR, months=[*months(), months()[0]]), "each month of the period once"),
    "more sent than connected": (content_of(YEAR, months=months(sent=501)), "2025-04 contradict"),
    "more fallback than calls": (content_of(YEAR, months=months(fallback=1001)), "2025-04 contradict"),
    "more calls than leaves": (content_of(YEAR, head=head_of(YEAR, 23_999)), "more calls than the tree has leaves"),
    "a shorter tree": (content_of(YEAR, head=head_of(YEAR, 12_999)), "not of the tree of the earlier figures"),
    "another tree of the same size": (
        content_of(YEAR, head=head_of(YEAR, 13_000, root="another")), "not of the tree of the earlier figures",
    ),
    "another tree": (content_of(YEAR, head=head_of(YEAR, log=OTHER_TREE)), "of another tree than the earlier"),
    "another tree, which continues it": (
        content_of(YEAR, head=head_of(YEAR, log=OTHER_TREE), continues=LOG.key.name), None,
    ),
    "not over": (content_of(Period.parse("2025-03-01", "2026-02-28")), "the period is not over"),
    "no day": (content_of(Period(YEAR.start, YEAR.start)), "has no day"),
    "in the future": (content_of(YEAR, began="2030-01-01T00:00:00+00:00"), "begins in the future"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), OBJECTIONS.values(), ids=list(OBJECTIONS))
def test_what_the_desk_does_not_believe(content, said):
    found = figures_objection(node_figures(content), [WITNESS.cosigner], 1, [node_figures(LAST)], NOW)
    assert (said in found) if said and found else found is said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({**content_of(YEAR), "head": head_of(YEAR, log=Signer(LOG.key.name, b"8" * 32))}, "not of the ledger whose"),
        ({**content_of(YEAR), "head": "nothing"}, "not of the ledger whose key"),
        ({**content_of(YEAR), "version": 2}, "malformed: version"),
        ({**content_of(YEAR), "more": 1}, "malformed: more"),
        ({**content_of(YEAR), "months": months(calls=-1)}, "malformed: months.3.calls"),
    ],
    ids=["a head of another node", "no head", "another version", "another field", "a negative count"],
)
def test_figures_in_another_form(content, said):
    with pytest.raises(TrustError, match=said):
        node_figures(content)


def test_a_changed_cosignature_is_an_error():
    mixed = head_of(YEAR, 20_001).rpartition("\n\n")[0] + "\n\n" + head_of(YEAR).rpartition("\n\n")[2]
    with pytest.raises(TrustError, match="wrong cosignature"):
        cosigned_by(mixed, [WITNESS.cosigner])


DOUBTS = {
    "none": (content_of(YEAR), []),
    "five times as many": (content_of(YEAR, 5000), ["164.4 calls a day, and 32.8 in 2024-01-01/2025-01-01"]),
    "a fifth": (
        content_of(YEAR, 200, head=head_of(YEAR, 16_000)),
        ["6.6 calls a day, and 32.8 in 2024-01-01/2025-01-01"],
    ),
    "a month of silence, and missing steps": (
        content_of(YEAR, months=months(calls=0, connected=0, sent=0), missing_steps=7),
        ["7 steps could not be written", "no calls in 2025-04"],
    ),
    "many leaves for few calls": (
        content_of(YEAR, head=head_of(YEAR, 113_000)),
        ["the tree has 100000 more leaves"],
    ),
}


@pytest.mark.parametrize(("content", "said"), DOUBTS.values(), ids=list(DOUBTS))
def test_what_a_person_asks(content, said):
    found = list(figures_doubts(node_figures(content), [node_figures(LAST)], 4))
    assert len(found) == len(said)
    assert all(words in doubt for words, doubt in zip(said, found, strict=True)), found


def test_a_ledger_that_continues_another_is_not_whole():
    whole = {"continues": "pbx-1/idtone", "began": "2024-12-31T14:59:00+00:00"}
    assert node_figures(content_of(YEAR, **whole)).figures.is_whole
    assert not node_figures(content_of(YEAR, **whole | {"began": "2024-12-31T15:01:00+00:00"})).figures.is_whole


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings of a member's node. On 2026-11-01, its ledger has 20 finished calls and one in progress."""
    url = url_of(tmp_path / "ledger.sqlite3")
    replace_private(tmp_path / "key", KEY)
    replace_private(tmp_path / "key.sign", LEDGER_SEED)
    write(url, evidence())
    path = tmp_path / "idtone.yaml"
    path.write_text(
        f"node: pbx-1\nassociation: {{member: m-0001}}\nledger: {{url: '{url}', key_file: {tmp_path}/key}}\n"
    )
    return path


def cosign(settings: Path, at: datetime) -> None:
    keys = key_ring_of(url_of(settings.with_name("ledger.sqlite3")))
    latest = keys.seen.latest(LEDGER_LOG)
    assert latest
    line = WITNESS.cosign(latest[0].text, int(at.timestamp()))
    keys.cosigned.remember(latest[0].with_lines([line]))


def run(settings: Path, *arguments: object, period: tuple[str, str] = ("2026-10-15", "2026-11-02")):
    days = ("--since", period[0], "--until", period[1])
    words = ["evaluation", "figures", *days, "-o", settings.with_name("figures"), "-c", settings, *arguments]
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_member_computes_its_figures(settings):
    cosign(settings, datetime(2026, 11, 3, tzinfo=UTC))
    told = json.loads(run(settings, "--json").stdout)
    october, november = told["months"]
    assert october == {"month": "2026-10", "calls": 0, "fallback": 0, "connected": 0, "sent": 0}
    assert november == {"month": "2026-11", "calls": 20, "fallback": 0, "connected": 5, "sent": 5}
    octets = settings.with_name("figures").read_bytes()
    found = figures_of(verified_document(octets, lambda _: [Signer("m-0001/pbx-1", LEDGER_SEED).key]))
    assert figures_objection(found, [WITNESS.cosigner], 1, [], datetime.now(UTC)) is None
    with LedgerReader.open(url_of(settings.with_name("ledger.sqlite3"))) as reader:
        [act] = reader.acts(frozenset({StepKind.DUTY}))
    assert (act.details["act"], act.details["subject"]) == ("figures-signed", "2026-10-15/2026-11-03")
    assert act.details["sha256"] == told["sha256"]
    assert ["2026-11", "20", "0", "5", "5"] in [line.split() for line in run(settings).stdout.splitlines()]


@pytest.mark.parametrize(
    ("cosigned", "period", "said"),
    [
        (None, ("2026-10-15", "2026-11-02"), "last: never"),
        (datetime(2026, 11, 2, tzinfo=UTC), ("2026-10-15", "2026-11-02"), "last: 2026-11-02"),
        (datetime(2026, 11, 3, tzinfo=UTC), ("2026-11-03", "2026-11-02"), "--until is before --since"),
        (datetime(2026, 11, 3, tzinfo=UTC), ("2026-11", "2026-11-03"), "is not a day"),
        (datetime(2026, 11, 3, tzinfo=UTC), ("2026-10-15", "2096-11-03"), "is not over yet"),
    ],
)
def test_what_cannot_be_computed(settings, cosigned, period, said):
    if cosigned:
        cosign(settings, cosigned)
    result = run(settings, period=period)
    assert isinstance(result.exception, IdtoneError)
    assert said in str(result.exception)
    assert not settings.with_name("figures").exists()


def test_only_figures_of_this_node_are_sent(settings, tmp_path):
    (tmp_path / "figures").write_bytes(NODE.key.name.encode())
    result = CliRunner().invoke(app, ["evaluation", "send", str(tmp_path / "figures"), "-c", str(settings)])
    assert "not a signed document" in str(result.exception)
