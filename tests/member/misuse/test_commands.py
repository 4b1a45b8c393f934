"""`idtone-office misuse` on a real ledger with sealed numbers."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from idtone.config import __file__ as config_file
from idtone.core.calls import Decision, Direction, ForwardedCall, Outcome, Party, Reason
from idtone.core.errors import DocumentError, IdtoneError, UsageError
from idtone.core.numbers import Number, NumberKind
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_outline import CallOutline
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.keys.private_files import replace_private
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.member.misuse.commands import app
from lab.ledger.sample_evidence import KEY, SEED, url_of
from lab.ledger.sample_ledger import verification_faults, write
from lab.ledger_copies import copy_ledger
from lab.member.misuse.traffic import DAY, Dice, campaign, clinic, wangiri

ALL = ("--since", f"{DAY}T00:00:00+00:00")
SHIPPED = Path(config_file).with_name("misuse.yaml").read_text("utf-8")
PREFIXES = {NumberKind.MOBILE: "+8190", NumberKind.OTHER: "+1212"}


class _Numbers(dict[str, Number]):
    """Map that has a telephone number for each token of the traffic."""

    def of(self, token: str, kind: NumberKind) -> Number:
        return self.setdefault(token, Number(kind, f"{PREFIXES.get(kind, '+813')}{40_000_000 + len(self)}"))


NUMBERS = _Numbers()


def steps_of(call: CallOutline, call_id: str) -> Iterator[Step]:
    """The steps that the ledger would have for the call."""

    def moment(at_s: float) -> datetime:
        return datetime.fromtimestamp(at_s, UTC)

    assert call.forwarding
    assert call.caller
    assert call.called
    forwarded = ForwardedCall(
        call_id,
        Direction(call.direction or ""),
        NUMBERS.of(call.forwarding, NumberKind.FIXED),
        NUMBERS.of(call.caller, NumberKind.MOBILE),
        NUMBERS.of(call.called, NumberKind(call.called_kind or "")),
    )
    decision = Decision(Outcome(call.outcome or ""), Reason(call.reason or ""), call.licence, {Party.CALLED: "sample"})
    yield steps.decided(forwarded, decision, moment(call.at_s))
    if call.connected_s:
        yield steps.connected(call_id, moment(call.connected_s))
    yield steps.ended(call_id, moment(call.ended_s or 0), CallStatus(call.status or ""))


def told(*traffics: Any) -> list[Step]:
    names = count()
    calls = [call for seed, traffic in enumerate(traffics) for call in traffic(Dice(seed))]
    return sorted((step for call in calls for step in steps_of(call, f"pbx-1-{next(names)}")), key=lambda step: step.at)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("misuse")
    write(url_of(folder / "ledger.sqlite3"), told(wangiri, clinic, campaign))
    replace_private(folder / "key", KEY)
    replace_private(folder / "key.sign", SEED)
    return folder


@pytest.fixture(autouse=True)
def _settings(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idtone.ledger.writing.ledger_writer.LINGER_S", 0.01)
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(made / "key"))
    monkeypatch.setenv("IDTONE_LEDGER_URL", url_of(made / "ledger.sqlite3"))
    monkeypatch.setenv("IDTONE_NODE", "pbx-1")


@pytest.fixture
def own(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a copy of the ledger that a test may change."""
    copy_ledger(made, tmp_path / "own")
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(tmp_path / "own" / "key"))
    monkeypatch.setenv("IDTONE_LEDGER_URL", url_of(tmp_path / "own" / "ledger.sqlite3"))
    return url_of(tmp_path / "own" / "ledger.sqlite3")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200", "TZ": "UTC"})
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    said = re.sub(r"\D", "", result.output)
    assert not any(number.e164[3:] in said for number in NUMBERS.values()), "no number in clear"
    return result


def scanned(*options: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("scan", *ALL, "--json", *options).stdout)
    return found


def finding(rule: str) -> dict[str, Any]:
    (found,) = [each for each in scanned("--all") if each["rule"] == rule]
    return found


_SEEN: dict[str, Any] = {}


@pytest.fixture
def ping(_settings: None) -> dict[str, Any]:
    """The finding of the rule `pings` in the ledger that no test changes."""
    if not _SEEN:
        _SEEN.update(finding("pings"))
    return _SEEN


def test_scan_finds_the_fraud_and_says_that_it_is_no_accusation(made):
    found = {each["rule"]: each for each in scanned() if each["rule"] != "many-called"}
    assert {"pings"} <= found.keys() <= {"pings", "number-surge"}, "the clinic is not reported"
    ping = found["pings"]
    assert ping["id"].startswith(f"{DAY}-pings-")
    assert (ping["state"], ping["node"], ping["day"], ping["review"]) == ("new", "pbx-1", DAY, None)
    assert ping["calls"] == len(ping["call_ids"]) >= 100
    assert ping["chance"] < 1e-6
    result = run("scan", *ALL)
    assert (result.exit_code, ping["id"] in result.stdout) == (1, True)
    assert "A finding is not an accusation" in result.stderr


def test_a_scan_that_finds_nothing_is_good(made):
    assert run("scan", "--since", "2027-01-01T00:00:00+09:00").exit_code == 0


def test_explain_shows_reason_calls_and_what_to_do(ping, made, monkeypatch):
    shown = run("explain", ping["id"], "--limit", 3).stdout
    assert ping["reason"] in shown
    assert [call_id for call_id in ping["call_ids"] if re.search(rf" {call_id} ", shown)] == ping["call_ids"][:3]
    assert "idtone-office misuse review" in shown
    last4 = next(number.last4 for token, number in NUMBERS.items() if token == next(wangiri(Dice(0))).forwarding)
    assert f"{ping['subject'][:8]} …{last4}" in shown
    assert json.loads(run("explain", ping["id"], "--json").stdout) == ping
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(made / "no key"))
    assert f"…{last4}" not in run("explain", ping["id"]).stdout
    assert finding("pings") == ping, "nothing needs the key"


def test_a_japanese_reader_gets_japanese(ping, made, monkeypatch):
    monkeypatch.setenv("LANGUAGE", "ja")
    shown = run("explain", ping["id"]).stdout
    assert "不正を断定するものではありません" in shown
    assert ping["reason"] not in shown


def test_numbers_that_are_expected_to_call_much_are_exempt_from_the_rules_of_volume(made, tmp_path, monkeypatch):
    many = [each for each in scanned() if each["rule"] == "many-called"]
    assert len(many) == 2
    number = NUMBERS[next(campaign(Dice(2))).forwarding or ""]
    (tmp_path / "expected").write_text(f"# the sales team\n0{number.e164[3:]}  # until March\n")
    assert len([each for each in scanned("--expected", tmp_path / "expected") if each["rule"] == "many-called"]) == 1
    (tmp_path / "expected").write_text("0312345678\n\n031234567\n")
    with pytest.raises(DocumentError, match=r"expected:3:1: this Japanese number needs 10 digits") as refused:
        scanned("--expected", tmp_path / "expected")
    assert "031234567." not in str(refused.value)
    (tmp_path / "expected").write_text("0312345678")
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(made / "no key"))
    with pytest.raises(UsageError, match="needs the ledger's key of pbx-1"):
        scanned("--expected", tmp_path / "expected")


def test_plot_draws_the_limit(ping, made, tmp_path):
    lines = run("plot", ping["id"]).stdout.splitlines()
    assert ping["id"] in lines[0]
    beyond = [line for line in lines if line.endswith("!")]
    assert beyond
    counts = [int(re.search(r"(\d+) / (\d+) !$", line)[1]) for line in beyond]  # type: ignore[index]
    assert max(counts) == ping["calls"], "an interval begins with the window"
    run("plot", ping["id"], "-o", tmp_path / "finding.png")
    assert (tmp_path / "finding.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="cannot be written"):
        run("plot", ping["id"], "-o", tmp_path / "missing" / "finding.png")


def test_a_reviewed_finding_is_not_new_until_it_grows(ping, own):
    result = run("review", ping["id"], "--result", "asked", "--why", "the contractor answers on Monday")
    assert ping["id"] in result.stdout
    reviewed = finding("pings")
    assert (reviewed["id"], reviewed["state"]) == (ping["id"], "reviewed")
    assert (reviewed["review"]["result"], reviewed["review"]["calls"]) == ("asked", ping["calls"])
    assert ping["id"] not in {each["id"] for each in scanned()}
    assert verification_faults(own) == []
    with LedgerReader.open(own) as reader:
        (act,) = reader.acts(frozenset({steps.StepKind.DUTY}))
    assert (act.details["act"], act.details["subject"]) == ("misuse-reviewed", ping["id"])
    number = next(wangiri(Dice(0)))
    late = datetime.fromisoformat(ping["last"])
    more = [step for place in range(5) for step in _ping(number, f"more-{place}", late + timedelta(seconds=place))]
    write(own, more)
    (grown,) = [each for each in scanned() if each["id"] == ping["id"]]
    assert (grown["state"], grown["calls"] > ping["calls"]) == ("grown", True)


def _ping(call: CallOutline, call_id: str, at: datetime) -> list[Step]:
    at_s = at.timestamp()
    again = CallOutline(
        call_id,
        at_s,
        call.direction,
        call.outcome,
        call.reason,
        call.licence,
        call.forwarding,
        call.caller,
        call.called,
        call.called_kind,
        None,
        at_s + 1,
        CallStatus.CANCEL,
    )
    return list(steps_of(again, call_id))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("explain", "pings"), "'pings' is not the id of a finding"),
        (("explain", "2026-02-30-pings-0123456789"), "is not the id of a finding"),
        (("explain", f"{DAY}-nothing-0123456789"), "is not the id of a finding"),
        (("review", "PING", "--result", "asked", "--why", "call 03-1234-5678"), "contains a telephone number"),
        (("review", "PING", "--result", "asked", "--why", " "), "is not a readable text"),
        (("scan", "--since", "yesterday"), "is not a time"),
        (("scan", "--since", "2026-11-01T00:00:00"), "has no time zone"),
    ],
)
def test_wrong_use_is_refused(ping, arguments, error):
    with pytest.raises(UsageError, match=error):
        run(*(ping["id"] if each == "PING" else each for each in arguments))


def test_a_finding_that_is_not_there(made):
    result = run("explain", f"{DAY}-pings-0123456789")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no such finding" in result.stderr


BAD = {
    "false_alarm: 1e-6": ("false_alarm: 0", "false_alarm"),
    "usual_share: 0.3 ": ("usual_share: 1 ", "short_calls.usual_share"),
    "from_hour: 22": ("from_hour: 24", "night_abroad.from_hour"),
    "until_hour: 6": ("until_hour: 22", "night_abroad.until_hour"),
    "days_at_least: 7": ("days_at_least: 29", "licence_surge.days_at_least"),
    "rotation:": ("rotations:", "rotation"),
    "at_least: 3": ("at_least: 0", "after_suspension.at_least"),
}


@pytest.mark.parametrize("right", BAD)
def test_wrong_limits_are_refused_with_line_and_field(tmp_path, right):
    wrong, field = BAD[right]
    assert right in SHIPPED
    (tmp_path / "misuse.yaml").write_text(SHIPPED.replace(right, wrong), "utf-8")
    with pytest.raises(DocumentError, match=rf"misuse.yaml:\d+:\d+: {field}"):
        run("rules", "--rules", tmp_path / "misuse.yaml")


def test_limits_can_be_changed_and_rules_switched_off(tmp_path):
    shown = json.loads(run("rules", "--json").stdout)
    assert shown["pings"]["at_least"] == 20
    assert "pings" in run("rules").stdout
    changed = re.sub(r"^(many_called|number_surge):\n  enabled: true", r"\1:\n  enabled: false", SHIPPED, flags=re.M)
    (tmp_path / "misuse.yaml").write_text(changed.replace("rings_below_s: 6", "rings_below_s: 0.5"), "utf-8")
    assert scanned("--all", "--rules", tmp_path / "misuse.yaml") == []
    with pytest.raises(DocumentError, match="cannot be read"):
        scanned("--rules", tmp_path / "none.yaml")
