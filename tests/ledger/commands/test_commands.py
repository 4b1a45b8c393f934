from __future__ import annotations

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from idtone.calls import Party
from idtone.errors import IdtoneError, LedgerError, UsageError
from idtone.ledger.commands import app
from idtone.ledger.commands.shared import parse_since
from idtone.ledger.evidence import steps
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.tree.inclusion_proof import InclusionProof
from idtone.ledger.tree.notes import Note, Signer
from idtone.ledger.writing.ledger_writer import LedgerWriter

from ..sample_evidence import (
    CALLED,
    CALLER,
    FORWARDING,
    KEY,
    LOG,
    NOW,
    PLAY,
    REFUSE,
    SEED,
    SHA256,
    at,
    days_of,
    decided,
    heard_call,
    key_ring_of,
    put,
    url_of,
)


@pytest.fixture(autouse=True)
def key(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger's key, which the settings name."""
    path = file.with_name("key")
    path.parent.mkdir()
    path.write_bytes(KEY)
    path.chmod(0o600)
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(path))
    monkeypatch.setenv("IDTONE_LEDGER_URL", url_of(file))
    return path


@pytest.fixture
def ledger(url: str) -> str:
    """A heard call, a refused one, and one that was connected without the sound."""
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        evidence = [
            *heard_call("c-heard"),
            decided(REFUSE, "c-refused", 1000),
            steps.ended("c-refused", at(1001), steps.CallStatus.REFUSED),
            decided(PLAY, "c-[odd]", 2000),
            steps.answered("c-[odd]", at(3000)),
            steps.connected("c-[odd]", at(3001.5)),
        ]
        put(writer, *evidence)
    return url


def run(*arguments: object, typed: str | None = None) -> Result:
    environment = {"COLUMNS": "200", "TZ": "UTC"}
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed, env=environment)
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    for number in (FORWARDING, CALLER, CALLED):
        assert number[1:] not in result.output
    return result


def lines(result: Result) -> list[list[str]]:
    """The words of each line; a time is two words."""
    return [line.split() for line in result.stdout.splitlines()]


def test_list_shows_a_line_a_call_the_newest_last(ledger: str) -> None:
    result = run("list", "--ledger", ledger)
    assert result.exit_code == 0
    heading, *calls = lines(result)
    assert heading == ["time", "call", "direction", "number", "outcome", "reason", "heard", "status"]
    assert [call[2:] for call in calls] == [
        ["c-heard", "incoming", "…5678", "PLAY", "licence-valid", "yes", "CONNECTED"],
        ["c-refused", "incoming", "…5678", "REFUSE", "number-suspended", "no", "REFUSED"],
        ["c-[odd]", "incoming", "…5678", "PLAY", "licence-valid", "no", "…", "!"],
    ]


def test_without_the_key_the_numbers_stay_sealed(ledger: str, key: Path) -> None:
    key.unlink()
    assert lines(run("list", "--ledger", ledger, "--limit", 1))[1][4] == "fixed"
    (record,) = json.loads(run("list", "--ledger", ledger, "--limit", 1, "--json").stdout)
    assert record["numbers"]["caller"]["last4"] == ""
    assert re.fullmatch(r"[0-9a-f]{32}", record["numbers"]["caller"]["token"])


def test_list_as_json(ledger: str) -> None:
    records = json.loads(run("list", "--ledger", ledger, "--json").stdout)
    assert [(record["call_id"], record["heard"], record["complete"]) for record in records] == [
        ("c-heard", True, True),
        ("c-refused", False, True),
        ("c-[odd]", False, False),
    ]
    assert records[2]["anomalies"] == ["connected before the sound was heard"]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--call-id", "c-refused"], ["c-refused"]),
        (["--call-id", "c-unknown"], []),
        (["--limit", 1], ["c-heard"]),  # its last step is the newest
        (["--since", at(3001.5).isoformat()], ["c-heard", "c-[odd]"]),
        (["--since", "2026-12-01T00:00:00+09:00"], []),
    ],
)
def test_list_can_be_narrowed(ledger: str, options: list[object], ids: list[str]) -> None:
    records = json.loads(run("list", "--ledger", ledger, "--json", *options).stdout)
    assert [record["call_id"] for record in records] == ids


def test_list_shows_fifty_calls_unless_told(url: str) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        for number in range(51):
            writer.append(steps.answered(f"c-{number}", at(number)))
    records = json.loads(run("list", "--ledger", url, "--json").stdout)
    assert [records[0]["call_id"], records[-1]["call_id"], len(records)] == ["c-1", "c-50", 50]


def test_the_settings_name_the_ledger(ledger: str, tmp_path: Path) -> None:
    config = tmp_path / "idtone.yaml"
    config.write_text(f"ledger: {{url: '{ledger}'}}\n")
    assert len(json.loads(run("list", "-c", config, "--json").stdout)) == 3
    assert run("show", "c-heard", "-c", config).exit_code == 0


def test_show_tells_every_step_in_order(ledger: str) -> None:
    result = run("show", "c-heard", "--ledger", ledger)
    heading, *written = lines(result)
    assert heading == ["time", "ms", "step", "details"]
    assert [words[2:4] for words in written if words[2:] and words[2][0] == "+"] == [
        ["+0.0", "decided"],
        ["+3000.0", "answered"],
        ["+3002.0", "sound-started"],
        ["+3404.0", "sound-ended"],
        ["+3406.0", "connected"],
        ["+60000.0", "ended"],
    ]
    assert f"profile=sample sha256={SHA256}" in result.stdout
    assert "hangup_cause=16 status=CONNECTED" in result.stdout
    assert {"forwarding=…5678", "caller=…5679", "called=…4567"} <= set(result.stdout.split())
    assert "token" not in result.stdout
    assert "nonce" not in result.stdout
    assert "anomaly" not in result.stdout


@pytest.mark.parametrize(
    ("known_by", "words"),
    [
        ({Party.CALLED: "packets"}, "heard by the called party (by packets)"),
        ({Party.CALLER: "time"}, "heard by the caller (by time)"),
        (
            {Party.CALLER: "dial", Party.CALLED: "playback"},
            "heard by the called party (by playback) and the caller (by Dial() alone)",
        ),
        ({Party.CALLED: "of-tomorrow"}, "heard by the called party (of-tomorrow)"),
        ({Party.CALLED: None}, "heard by the called party"),
    ],
)
def test_show_tells_who_heard_the_sound_and_by_what_that_is_known(
    url: str, known_by: dict[Party, str | None], words: str
) -> None:
    both = PLAY._replace(profiles=dict.fromkeys(known_by, "sample"))
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        writer.append(decided(both))
        writer.append(steps.answered("c-1", at(10)))
        for party, code in known_by.items():
            writer.append(steps.sound_started("c-1", at(20), "sample", SHA256, party))
            writer.append(steps.sound_ended("c-1", at(420), 400, party, known_by=code))
    assert run("show", "c-1", "--ledger", url).stdout.splitlines()[-1] == words


def test_show_of_a_call_without_a_sound_names_nobody_who_heard_it(ledger: str) -> None:
    assert "heard by" not in run("show", "c-refused", "--ledger", ledger).stdout


def test_who_heard_another_sound_has_not_heard_the_one_that_was_decided(url: str) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        for step in (
            decided(PLAY), steps.answered("c-1", at(10)), steps.sound_started("c-1", at(20), "notice", SHA256),
            steps.sound_ended("c-1", at(420), 400, known_by="packets", packets=20, instead="notice"),
        ):  # fmt: skip
            writer.append(step)
    shown = run("show", "c-1", "--ledger", url).stdout
    assert "heard by" not in shown
    assert "anomaly: the called party heard notice instead of the sound\n" in shown


def test_show_tells_anomalies(ledger: str) -> None:
    assert "anomaly: connected before the sound was heard\n" in run("show", "c-[odd]", "--ledger", ledger).stdout


def test_show_as_json_adds_the_steps_to_the_record(ledger: str) -> None:
    shown = json.loads(run("show", "c-heard", "--ledger", ledger, "--json").stdout)
    (listed,) = json.loads(run("list", "--call-id", "c-heard", "--ledger", ledger, "--json").stdout)
    told = shown.pop("steps")
    assert shown == listed
    assert [(step["kind"], step["after_ms"]) for step in told] == [
        ("decided", 0),
        ("answered", 3000),
        ("sound-started", 3002),
        ("sound-ended", 3404),
        ("connected", 3406),
        ("ended", 60_000),
    ]
    assert told[3] == {
        "kind": "sound-ended",
        "at": "2026-11-01T00:00:03.527+00:00",
        "after_ms": 3404.0,
        "details": {"party": "called", "heard_ms": 400, "known_by": "packets", "packets": 20},
    }


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_show_of_an_unknown_call_is_a_negative_verdict(ledger: str, options: list[str]) -> None:
    result = run("show", "c-unknown", "--ledger", ledger, *options)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "the ledger holds no call c-unknown\n"


@pytest.mark.parametrize("command", [["list"], ["show", "c-1"]])
def test_without_a_ledger_the_command_says_how_to_get_one(url: str, command: list[str]) -> None:
    with pytest.raises(LedgerError, match="start `idtone serve` first"):
        run(*command, "--ledger", url)


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_below_one_is_wrong_use(ledger: str, limit: str) -> None:
    assert run("list", "--ledger", ledger, "--limit", limit).exit_code == 2


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0s", NOW),
        ("45s", NOW - timedelta(seconds=45)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-11-01T00:00:00+09:00", datetime(2026, 11, 1, tzinfo=timezone(timedelta(hours=9)))),
        ("2026-11-01T00:00:00Z", datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_since(text: str, moment: datetime) -> None:
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a time; write 2h"),
        ("2", "is not a time"),
        ("2w", "is not a time"),
        ("-2h", "is not a time"),
        ("999999999d", "is not a time"),
        ("yesterday", "is not a time"),
        ("2026-11-01", "has no time zone"),
        ("2026-11-01T00:00:00", "has no time zone"),
    ],
)
def test_since_that_is_no_time(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=re.escape(problem)):
        parse_since(text, NOW)


@pytest.mark.parametrize(("said", "code"), [(["--yes"], 0), ([], 1)])
def test_what_is_forgotten_cannot_be_opened_any_more(signing: str, file: Path, said: list[str], code: int) -> None:
    days = days_of(signing)
    days.writing("2026-11-02")
    secrets = [line.split()[1].encode() for line in file.with_name("key.days").read_bytes().decode().splitlines()]
    result = run("forget", "--before", "2026-11-02", *said)
    assert result.exit_code == code
    held = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert [secret in held for secret in secrets] == [code == 1, True]
    shown = lines(run("list", "--call-id", "c-heard"))[1][4]
    acts = [record.steps[0].details for record in LedgerReader.open(signing).records() if record.call_id[:4] == "act-"]
    if code:
        assert "Destroy the keys of 1 day, from 2026-11-01 to 2026-11-01, forever?" in result.stderr
        assert (shown, acts) == ("…5678", [])
    else:
        assert "the numbers of 1 day " in result.stdout
        assert (shown, acts) == ("fixed", [{"before": "2026-11-02", "days": 1}])
        assert run("verify").exit_code == 0
        assert json.loads(run("forget", "--before", "2026-11-02", "--json").stdout) == {"destroyed": []}


@pytest.mark.parametrize(
    ("day", "problem"),
    [("yesterday", "is not a day; write it like"), ("2026-13-01", "is not a day"), ("9999-01-01", "is in the future")],
)
def test_a_day_that_cannot_be_forgotten(day: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        run("forget", "--before", day, "--yes")


# -- the tree -------------------------------------------------------------------------------------------------------


@pytest.fixture
def signing(ledger: str, key: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ledger, with the key that signs it where the settings have it."""
    key.with_name("key.sign").write_bytes(SEED)
    key.with_name("key.sign").chmod(0o600)
    monkeypatch.setenv("IDTONE_NODE", "pbx-1")
    return ledger


def test_a_good_ledger_is_verified(signing: str, key: Path) -> None:
    result = run("verify", "--ledger", signing)
    assert result.exit_code == 0
    assert result.stdout.startswith("good: 2 leaves of 11 steps\n")
    assert "signed       2 leaves (the ledger's own checkpoint)\n" in result.stdout
    assert "in progress  1 call," in result.stdout
    report = json.loads(run("verify", "--ledger", signing, "--json").stdout)
    assert report["signed"] == [
        {"source": "the ledger's own checkpoint", "leaves": 2}, {"source": str(key.with_name("key.seen")), "leaves": 2}
    ]  # fmt: skip
    assert (report["good"], report["log"], report["faults"]) == (True, str(LOG), [])


def change(file: Path, *statements: str) -> None:
    """Behind the back of whoever signs it."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_changed_ledger_is_a_negative_verdict(signing: str, file: Path) -> None:
    change(file, "UPDATE steps SET details = replace(details, 'L-0001', 'L-0002') WHERE call_id = 'c-heard'")
    result = run("verify", "--ledger", signing)
    assert result.exit_code == 1
    assert "call c-heard: leaf 0 is not what was written" in result.stdout
    assert "NOT GOOD" in result.stdout
    assert not json.loads(run("verify", "--ledger", signing, "--json").stdout)["good"]


def test_others_verify_it_with_its_verifier_key_and_a_checkpoint_that_they_kept(
    signing: str, key: Path, tmp_path: Path
) -> None:
    vkey = run("key").stdout.strip()
    assert vkey == str(LOG)
    kept = tmp_path / "kept"
    kept.write_bytes(key.with_name("key.seen").read_bytes())
    for name in ("key.sign", "key.seen", "key.days"):
        key.with_name(name).unlink()
    result = run("verify", "--ledger", signing, "--log-key", vkey, "--checkpoint", kept)
    assert result.exit_code == 0
    assert f"signed       2 leaves ({kept})" in result.stdout


def test_what_witnesses_have_cosigned_is_held_against_it(signing: str, key: Path, file: Path) -> None:
    key.with_name("key.seen").rename(key.with_name("key.cosigned"))
    result = run("verify", "--ledger", signing)
    assert (result.exit_code, f"signed       2 leaves ({key.with_name('key.cosigned')})" in result.stdout) == (0, True)
    change(
        file,
        "DELETE FROM steps WHERE leaf = 1",
        "DELETE FROM hashes WHERE place > 0",
        "DELETE FROM meta WHERE key = 'checkpoint'",
    )
    result = run("verify", "--ledger", signing)
    assert result.exit_code == 1
    assert "key.cosigned: 2 leaves were signed, and the ledger has 1" in result.stdout


def test_a_tree_that_was_emptied_is_not_good(signing: str, key: Path, file: Path) -> None:
    key.with_name("key.seen").unlink()
    change(
        file,
        "DELETE FROM meta WHERE key = 'checkpoint'",
        "DELETE FROM hashes",
        "DELETE FROM sought",
        "UPDATE steps SET leaf = NULL",
    )
    result = run("verify", "--ledger", signing)
    assert result.exit_code == 1
    assert "it is over, and no leaf holds it" in result.stdout


@pytest.mark.parametrize(
    ("options", "error", "problem"),
    [
        (["--log-key", "x"], UsageError, "--log-key: is not a verifier key"),
        (["--checkpoint", "/nowhere"], UsageError, "/nowhere: cannot be read: No such file"),
        (["--checkpoint", __file__], UsageError, "name a file with a signed checkpoint"),
        (["--ledger", "sqlite:////nowhere"], LedgerError, "there is no ledger yet"),
    ],
)
def test_what_cannot_be_verified_is_wrong_use(
    signing: str, options: list[str], error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        run("verify", "--ledger", signing, *options)


def test_without_the_signing_key_the_log_key_must_be_named(ledger: str) -> None:
    with pytest.raises(LedgerError, match=r"key\.sign: the ledger's key cannot be read"):
        run("verify", "--ledger", ledger)


def test_a_call_is_proven(signing: str) -> None:
    proof = InclusionProof.parse(run("prove", "c-heard", "--ledger", signing).stdout.encode())
    assert proof.check(proof.extra, LOG).size == 2
    assert json.loads(proof.extra)["call"] == "c-heard"
    (told,) = json.loads(run("prove", "c-heard", "--ledger", signing, "--json").stdout)
    assert (told["leaf"], told["proof"]) == (0, str(proof))


def test_a_proof_leads_to_what_witnesses_have_cosigned(signing: str, key: Path) -> None:
    witness = Signer("witness.example/1", bytes(32))
    note = Note.parse(key.with_name("key.seen").read_bytes())
    cosigned = note.with_lines([witness.cosign(note.text, 1793491200)])
    key.with_name("key.cosigned").write_text(str(cosigned))
    with LedgerWriter.open(signing, "pbx-1", key_ring_of(signing)) as writer:
        put(writer, *heard_call("c-later"))
    early, late = (InclusionProof.parse(run("prove", call).stdout.encode()) for call in ("c-heard", "c-later"))
    assert early.checkpoint.signed_by([witness.cosigner]) == (witness.cosigner,)
    assert early.check(early.extra, LOG).size == 2
    assert late.checkpoint.signed_by([witness.cosigner]) == ()
    assert late.check(late.extra, LOG).size == 3


@pytest.mark.parametrize("call", ["c-unknown", "c-[odd]"])
def test_a_call_that_is_not_over_cannot_be_proven(signing: str, call: str) -> None:
    result = run("prove", call, "--ledger", signing)
    assert result.exit_code == 1
    assert "it is unknown or not over yet" in result.stderr


# -- finding and counting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [FORWARDING, CALLER, CALLED, "+81 3 1234 5678"])
def test_a_number_is_found_without_being_on_the_command_line(ledger: str, number: str) -> None:
    result = run("find", "--ledger", ledger, "--json", typed=f"{number}\n")
    assert [record["call_id"] for record in json.loads(result.stdout)] == ["c-heard", "c-refused"]
    assert result.exit_code == 0


def test_a_call_in_progress_is_found(url: str) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        writer.append(replace(decided(), at=datetime.now(UTC))).result(20)
    assert len(json.loads(run("find", "--ledger", url, "--json", typed=f"{CALLER}\n").stdout)) == 1


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--from", at(500).isoformat()], ["c-refused"]),
        (["--to", at(500).isoformat()], ["c-heard"]),
        (["--from", at(500).isoformat(), "--to", at(1500).isoformat()], ["c-refused"]),
        (["--from", "2026-11-02T00:00:00+00:00"], []),
        (["--to", "2026-10-31T00:00:00+00:00"], []),
    ],
)
def test_what_is_found_can_be_narrowed(ledger: str, options: list[str], ids: list[str]) -> None:
    result = run("find", "--ledger", ledger, "--json", *options, typed=f"{CALLER}\n")
    assert [record["call_id"] for record in json.loads(result.stdout)] == ids
    assert result.exit_code == (0 if ids else 1)


def test_another_number_is_a_negative_verdict(ledger: str) -> None:
    result = run("find", "--ledger", ledger, "--number", "0312345600")
    assert (result.exit_code, result.stderr) == (1, "no call with this number was found\n")


@pytest.mark.parametrize("number", ["", "110", "anonymous", "12x", "031234"])
def test_what_is_no_number_is_wrong_use_and_not_shown(ledger: str, number: str) -> None:
    with pytest.raises(UsageError, match=r"only telephone numbers can be found; write it like 0312345678$"):
        run("find", "--ledger", ledger, "--number", number)


def test_without_the_key_or_after_forgetting_nothing_is_found(signing: str, key: Path) -> None:
    assert run("forget", "--before", "2026-11-02", "--yes").exit_code == 0
    assert run("find", "--number", CALLER).exit_code == 1
    key.unlink()
    with pytest.raises(LedgerError, match="with the ledger's key only"):
        run("find", "--number", CALLER)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--outcome", "REFUSE"], ["c-refused"]),
        (["--reason", "licence-valid"], ["c-heard", "c-[odd]"]),
        (["--licence", "L-0001"], ["c-heard", "c-[odd]"]),
        (["--licence", "L-0002"], []),
        (["--member", "m-0001"], ["c-heard", "c-[odd]"]),
        (["--heard"], ["c-heard"]),
        (["--unheard"], ["c-refused", "c-[odd]"]),
        (["--odd"], ["c-[odd]"]),
        (["--until", at(1).isoformat()], ["c-heard"]),
        (["--unheard", "--limit", 1], ["c-[odd]"]),
    ],
)
def test_list_has_filters(ledger: str, options: list[object], ids: list[str]) -> None:
    records = json.loads(run("list", "--ledger", ledger, "--json", *options).stdout)
    assert [record["call_id"] for record in records] == ids


COUNTED = {
    "calls": 2, "played": 2, "noticed": 0, "refused": 0, "bypassed": 0, "shed": 0,
    "fallback": 0, "connected": 2, "heard": 1,
}  # fmt: skip


def test_calls_are_counted_by_day_member_and_licence(ledger: str) -> None:
    since = ["--since", "2026-10-01T00:00:00+09:00"]
    refused, licensed = json.loads(run("stats", "--ledger", ledger, *since, "--json").stdout)
    assert licensed == {"day": "2026-11-01", "member": "m-0001", "licence": "L-0001", **COUNTED, "heard_ratio": 0.5}
    assert (refused["licence"], refused["refused"], refused["heard_ratio"]) == ("", 1, None)
    nobody, member = json.loads(run("stats", "--ledger", ledger, *since, "--by", "member", "--json").stdout)
    assert member == {"member": "m-0001", **COUNTED, "heard_ratio": 0.5}
    assert (nobody["member"], nobody["calls"]) == ("", 1)
    rows = list(csv.DictReader(run("stats", "--ledger", ledger, *since, "--csv").stdout.splitlines()))
    assert rows[1] == {name: str(value) for name, value in licensed.items()}
    assert lines(run("stats", "--ledger", ledger, *since))[2][-1] == "50.0%"
    assert json.loads(run("stats", "--ledger", ledger, *since, "--until", at(0).isoformat(), "--json").stdout) == []


@pytest.mark.parametrize("by", [[], ["--by", "member"], ["--by", "licence"], ["--by", "day"]])
def test_the_counts_are_drawn(ledger: str, tmp_path: Path, by: list[str]) -> None:
    picture = tmp_path / "stats.png"
    assert run("stats", "--ledger", ledger, "--since", "2026-10-01T00:00:00Z", "--plot", picture, *by).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="cannot be written"):
        run("stats", "--ledger", ledger, "--plot", tmp_path / "none" / "x.png")
    with pytest.raises(UsageError, match="cannot go together"):
        run("stats", "--ledger", ledger, "--csv", "--json")


WIDE = re.compile(r"\S+ \S+ +c-heard +incoming +…5678 +PLAY +licence-valid +yes +CONNECTED *")


def test_what_a_program_reads_is_not_folded(ledger: str) -> None:
    listed = CliRunner().invoke(app, ["list", "--ledger", ledger], env={"COLUMNS": "20", "TERM": "dumb"})
    assert WIDE.fullmatch(listed.stdout.splitlines()[1])
    assert len(listed.stdout.splitlines()) == 4


@pytest.mark.parametrize(("option", "dialect"), [("--csv", "excel"), ("--tsv", "excel-tab")])
def test_records_as_csv_and_tsv(ledger: str, option: str, dialect: str) -> None:
    def rows(*arguments: str) -> list[dict[str, str]]:
        return list(csv.DictReader(run(*arguments, "--ledger", ledger, option).stdout.splitlines(), dialect=dialect))

    heard, refused, odd = rows("list")
    assert heard == {
        "node": "pbx-1", "time": "2026-11-01T00:00:00.123+00:00", "call_id": "c-heard", "direction": "incoming",
        "number": "…5678", "outcome": "PLAY", "reason": "licence-valid", "member": "m-0001", "licence": "L-0001",
        "profile": "sample", "heard": "yes", "status": "CONNECTED", "hangup_cause": "16", "complete": "yes",
        "fallback": "no", "anomalies": "",
    }  # fmt: skip
    assert (refused["status"], odd["status"], odd["complete"]) == ("REFUSED", "", "no")
    assert odd["anomalies"] == "connected before the sound was heard"
    assert rows("find", "--number", FORWARDING) == [heard, refused]
    assert rows("stats", "--since", "2026-10-01T00:00:00Z", "--by", "day")[0]["day"] == "2026-11-01"
    assert rows("requests") == []
    assert run("find", "--number", "0398765432", "--ledger", ledger, option).exit_code == 1


@pytest.mark.parametrize("command", ["show", "prove"])
def test_a_call_is_named_by_how_its_id_begins(signing: str, command: str) -> None:
    assert run(command, "c-h").stdout == run(command, "c-heard").stdout
    with pytest.raises(
        UsageError, match=r"several calls have ids that begin with c-: c-\[odd\], c-heard, c-refused; write more"
    ):
        run(command, "c-")
    assert run(command, "c-x").exit_code == run(command, "").exit_code == 1


def test_of_many_calls_a_few_are_named_and_a_whole_id_is_that_call(url: str) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        put(writer, *(step for number in range(1, 12) for step in heard_call(f"1795.{number}")))
    assert run("show", "1795.1", "--ledger", url).exit_code == 0
    message = r"begin with 1795: 1795.4, 1795.5, 1795.6, 1795.7, 1795.8, …; write more of it"
    with pytest.raises(UsageError, match=message):
        run("show", "1795", "--ledger", url)


PROGRAM = "import sys; sys.argv[0] = 'idtone'; from idtone.cli import main; main()"


def completed(typed: str, **environment: str) -> list[str]:
    asked = {"_IDTONE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | asked | environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_the_shell_completes_call_ids(ledger: str) -> None:
    assert completed("idtone ledger show c-") == ["c-refused", "c-heard", "c-[odd]"]
    assert completed("idtone ledger prove c-r") == ["c-refused"]
    assert completed("idtone ledger export c-heard c-[") == ["c-[odd]"]
    assert completed(f"idtone ledger show --ledger {ledger}x c-") == []
    assert completed("idtone ledger show c-", IDTONE_LEDGER_URL="nonsense") == []


def test_calls_are_followed_until_interrupted(ledger: str) -> None:
    with LedgerWriter.open(ledger, "pbx-1", key_ring_of(ledger)) as writer:
        # Whoever runs the tests in the background has it ignored, and a process inherits that.
        interruptible = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {PROGRAM}"
        command = [sys.executable, "-c", interruptible, "ledger", "list", "-f", "--reason", "licence-valid", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
            assert following.stdout
            assert json.loads(following.stdout.readline())["call_id"] == "c-heard", "the one of these that is over"
            put(writer, *heard_call("c-next", 5000), decided(PLAY, "c-open", 6000))
            put(writer, decided(REFUSE, "c-other", 7000), steps.ended("c-other", at(7001), steps.CallStatus.REFUSED))
            put(writer, steps.ended("c-open", at(9000), steps.CallStatus.CANCEL))
            followed = [json.loads(following.stdout.readline()) for _ in range(2)]
            assert [(each["call_id"], each["complete"]) for each in followed] == [("c-next", True), ("c-open", True)]
            following.send_signal(signal.SIGINT)
            assert following.communicate(timeout=60) == ("", "")
        assert following.returncode == 0


def test_following_ends_when_nobody_reads_any_more(ledger: str) -> None:
    command = [sys.executable, "-c", PROGRAM, "ledger", "list", "--follow", "--tsv", "--ledger", ledger]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
        assert following.stdout
        assert following.stderr
        following.stdout.readline()
        following.stdout.close()
        assert (following.wait(60), following.stderr.read()) == (0, "")


def test_following_has_no_end_that_could_be_named(ledger: str) -> None:
    with pytest.raises(UsageError, match="--follow has no end, and --until names one"):
        run("list", "--ledger", ledger, "--follow", "--until", "1h")
