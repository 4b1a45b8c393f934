import csv
import json
import re
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from typer.testing import CliRunner

from idtone.core.calls import Party
from idtone.core.errors import LedgerError, UsageError
from idtone.core.signed_notes import Note, Signer
from idtone.ledger.commands import app
from idtone.ledger.commands.options import parse_since
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.keys.legal_hold_keys import LegalHoldKeys
from idtone.ledger.tree.inclusion_proof import InclusionProof
from lab.japan_today import today
from lab.ledger.commands.run_ledger import completions, follow_list, json_output, listed_calls, output_words, run
from lab.ledger.sample_evidence import (
    CALLER,
    FORWARDING,
    LOG,
    NOW,
    PLAY,
    REFUSE,
    SHA256,
    days_of,
    decided,
    heard_call,
    played_to,
    time_after,
    url_of,
    write_each,
)
from lab.ledger.sample_ledger import query, records_of, write, write_keys, writer_of
from lab.ledger_copies import use_copy

ALL = ["--since", "2026-10-01T00:00:00+09:00"]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger of three calls: one with its sound, a refused one, and one that was connected without the
    sound.
    """
    folder = tmp_path_factory.mktemp("commands")
    evidence = [
        *heard_call("c-heard"),
        replace(decided(REFUSE, "c-refused", 1000), sip_call_id="7f@10.0.0.1"),
        steps.ended("c-refused", time_after(1001), CallStatus.REFUSED),
        decided(PLAY, "c-[odd]", 2000),
        steps.answered("c-[odd]", time_after(3000)),
        steps.connected("c-[odd]", time_after(3001.5)),
    ]
    write(url_of(folder / "ledger.sqlite3"), evidence)
    write_keys(folder)
    return folder


@pytest.fixture
def key(file: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The key file of the ledger that the settings name, next to the key that signs the ledger."""
    use_copy(made, file, monkeypatch)
    return file.with_name("key")


@pytest.fixture
def other(key: Path) -> str:
    """URL of a ledger with the same keys that is not written yet."""
    return url_of(key.with_name("other.sqlite3"))


pytestmark = pytest.mark.usefixtures("key")


def test_list_shows_a_line_a_call_the_newest_last(key):
    heading, *listed = output_words(run("list"))
    assert heading == ["time", "call", "direction", "number", "outcome", "reason", "sound", "status"]
    assert [call[2:] for call in listed] == [
        ["c-heard", "incoming", "…5678", "PLAY", "licence-valid", "sent", "CONNECTED"],
        ["c-refused", "incoming", "…5678", "REFUSE", "number-suspended", "-", "REFUSED"],
        ["c-[odd]", "incoming", "…5678", "PLAY", "licence-valid", "not-known", "…", "!"],
    ]
    records = json_output("list")
    assert [(record["sent"], record["complete"]) for record in records] == [
        (True, True),
        (False, True),
        (False, False),
    ]
    assert records[2]["anomalies"] == ["connected without evidence of the sound"]
    key.unlink()  # then the numbers stay sealed
    assert output_words(run("list", "--limit", 1))[1][4] == "fixed"
    caller = json_output("list", "--limit", 1)[0]["numbers"]["caller"]
    assert caller["last4"] == ""
    assert re.fullmatch(r"[0-9a-f]{32}", caller["token"])


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ("--call-id c-refused", "c-refused"),
        ("--call-id c-unknown", ""),
        ("--limit 1", "c-heard"),  # its last step is the newest
        (f"--since {time_after(3001.5).isoformat()}", "c-heard c-[odd]"),
        ("--since 2026-12-01T00:00:00+09:00", ""),
        ("--outcome REFUSE", "c-refused"),
        ("--reason licence-valid", "c-heard c-[odd]"),
        ("--licence L-0001", "c-heard c-[odd]"),
        ("--licence L-0002", ""),
        ("--member m-0001", "c-heard c-[odd]"),
        ("--delivery sent", "c-heard"),
        ("--delivery not-known", "c-[odd]"),
        ("--odd", "c-[odd]"),
        (f"--until {time_after(1).isoformat()}", "c-heard"),
        ("--delivery not-known --limit 1", "c-[odd]"),
    ],
)
def test_list_has_filters(options, ids):
    assert listed_calls("list", *options.split()) == ids.split()


def test_list_shows_fifty_calls_unless_told(other):
    for limit in ("0", "-1", "many"):
        assert run("list", "--limit", limit).exit_code == 2
    write(other, [steps.answered(f"c-{number}", time_after(number)) for number in range(51)])
    assert listed_calls("list", "--ledger", other) == [f"c-{number}" for number in range(1, 51)]


def test_the_settings_name_the_ledger(key, tmp_path, monkeypatch):
    config = tmp_path / "idtone.yaml"
    config.write_text(f"ledger: {{url: '{url_of(key.with_name('ledger.sqlite3'))}'}}\n")
    monkeypatch.delenv("IDTONE_LEDGER_URL")
    assert len(listed_calls("list", "-c", config)) == 3
    assert run("show", "c-heard", "-c", config).exit_code == 0


STEPS = [
    ("decided", 0), ("answered", 3000), ("sound-started", 3002), ("sound-ended", 3404), ("connected", 3406),
    ("ended", 60_000),
]  # fmt: skip


def test_show_tells_every_step_in_order():
    result = run("show", "c-heard")
    heading, *written = output_words(result)
    assert heading == ["time", "ms", "step", "details"]
    assert [(words[3], words[2]) for words in written if words[2:] and words[2][0] == "+"] == [
        (kind, f"+{ms}.0") for kind, ms in STEPS
    ]
    for text in (f"profile=sample sha256={SHA256}", "hangup_cause=16 status=CONNECTED"):
        assert text in result.stdout
    assert {"forwarding=…5678", "caller=…5679", "called=…4567"} <= set(result.stdout.split())
    for text in ("token", "nonce", "anomaly"):
        assert text not in result.stdout


def test_show_gives_the_same_steps_as_json():
    shown = json_output("show", "c-heard")
    found = shown.pop("steps")
    assert [shown] == json_output("list", "--call-id", "c-heard")
    assert [(step["kind"], step["after_ms"]) for step in found] == STEPS
    assert found[3] == {
        "kind": "sound-ended",
        "at": "2026-11-01T00:00:03.527+00:00",
        "after_ms": 3404.0,
        "details": {"party": "called", "played_ms": 400, "known_by": "packets", "packets": 20},
    }


def test_show_names_an_anomaly_and_no_sound_of_a_refused_call():
    assert "anomaly: connected without evidence of the sound\n" in run("show", "c-[odd]").stdout
    assert "sound: " not in run("show", "c-refused").stdout


def test_show_refuses_a_call_that_the_ledger_does_not_hold():
    for options in ([], ["--json"]):
        unknown = run("show", "c-unknown", *options)
        assert (unknown.exit_code, unknown.stdout) == (1, "")
        assert unknown.stderr == "the ledger holds no call c-unknown\n"


@pytest.mark.parametrize(
    ("caller", "called", "words"),
    [
        ("dial", "playback", "sound: called party: not known (by playback), caller: not known (by Dial() alone)"),
        ("time", "packets", "sound: called party: sent (by packets), caller: not known (by time)"),
        ("of-tomorrow", None, "sound: called party: not known, caller: not known (of-tomorrow)"),
    ],
)
def test_show_tells_who_heard_the_sound_and_by_what_that_is_known(other, caller, called, words):
    write(other, played_to({Party.CALLER: caller, Party.CALLED: called}))
    assert run("show", "c-1", "--ledger", other).stdout.splitlines()[-1] == words


NO_NUMBER = r"only telephone numbers can be found; write it like 0312345678$"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("list --ledger {other}", "start `idtone serve` first"),
        ("show c-1 --ledger {other}", "start `idtone serve` first"),
        ("verify --ledger {other}", "there is no ledger yet"),
        ("list --follow --until 1h", "--follow has no end, and --until names one"),
        ("show c-", r"several calls have ids that begin with c-: c-\[odd\], c-heard, c-refused; write more"),
        ("forget --yes --before yesterday", "is not a day; write it like"),
        ("forget --yes --before 2026-13-01", "is not a day"),
        ("forget --yes --before 9999-01-01", "is in the future"),
        ("verify --log-key x", "--log-key: is not a verifier key"),
        ("verify --checkpoint /nowhere", "/nowhere: cannot be read: No such file"),
        ("verify --checkpoint {here}", "name a file with a signed checkpoint"),
        ("find --number=", NO_NUMBER),
        ("find --number 110", NO_NUMBER),
        ("find --number anonymous", NO_NUMBER),
        ("find --number 12x", NO_NUMBER),
        ("find --number 031234", NO_NUMBER),
        ("stats --plot /none/x.png", "cannot be written"),
        ("stats --csv --json", "cannot go together"),
    ],
)
def test_wrong_use_says_what_to_do(command, problem, other):
    error = LedgerError if "{other}" in command else UsageError
    with pytest.raises(error, match=problem):
        run(*command.format(other=other, here=__file__).split())


def test_since():
    for text, moment in (
        ("0s", NOW),
        ("45s", NOW - timedelta(seconds=45)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-11-01T00:00:00+09:00", datetime(2026, 11, 1, tzinfo=timezone(timedelta(hours=9)))),
        ("2026-11-01", datetime(2026, 10, 31, 15, tzinfo=UTC)),
        ("2026-11-01T00:00:00Z", datetime(2026, 11, 1, tzinfo=UTC)),
    ):
        assert parse_since(text, NOW) == moment, text
    with pytest.raises(UsageError, match="is not a time; write 2h"):
        parse_since("", NOW)
    for text in ("2", "2w", "-2h", "999999999d", "yesterday", "2026-11-01T00:00:00"):
        with pytest.raises(UsageError, match="has no time zone" if text[4:5] == "-" else "is not a time"):
            parse_since(text, NOW)


@pytest.mark.parametrize("sure", [True, False])
def test_what_is_forgotten_cannot_be_opened_any_more(key, sure):
    url = url_of(key.with_name("ledger.sqlite3"))
    days_of(url).writing("2026-11-02")
    secrets = [line.split()[1].encode() for line in key.with_name("key.days").read_bytes().decode().splitlines()]
    result = run("forget", "--before", "2026-11-02", *(["--yes"] if sure else []))
    assert result.exit_code == (0 if sure else 1)
    octets = b"".join(path.read_bytes() for path in key.parent.iterdir())
    assert [secret in octets for secret in secrets] == [not sure, True]
    shown = output_words(run("list", "--call-id", "c-heard"))[1][4]
    acts = [record.steps[0].details for name, record in records_of(url).items() if name.startswith("act-")]
    if not sure:
        assert "Destroy the keys of 1 day, from 2026-11-01 to 2026-11-01, forever?" in result.stderr
        assert (shown, acts) == ("…5678", [])
        return
    assert "the numbers of 1 day " in result.stdout
    assert (shown, acts) == ("fixed", [{"before": "2026-11-02", "days": 1}])
    assert run("verify").exit_code == 0
    assert json_output("forget", "--before", "2026-11-02") == {"destroyed": []}
    assert run("find", "--number", CALLER).exit_code == 1
    key.unlink()
    with pytest.raises(LedgerError, match="with the ledger's key only"):
        run("find", "--number", CALLER)


def test_the_numbers_of_a_held_call_outlive_the_key_of_their_day(key):
    url = url_of(key.with_name("ledger.sqlite3"))
    placed = json_output(
        "hold place",
        "c-heard",
        "--reference",
        "R-9",
        "--basis",
        "preservation",
        "--why",
        "asked for by the police",
        "--until",
        f"{today()}",
    )
    assert placed["calls"] == ["c-heard"]
    run("forget", "--before", "2026-11-02", "--yes")
    others = sorted(name for name, record in records_of(url).items() if not name.startswith("act-"))
    shown = {name: output_words(run("list", "--call-id", name))[1][4] for name in others}
    assert {name for name, number in shown.items() if number == "…5678"} == {"c-heard"}, "no other call of that day"
    assert run("verify").exit_code == 0
    assert [each["hold"] for each in json_output("hold list")] == [placed["hold"]]
    lifted = json_output("hold lift", placed["hold"], "--why", "the case is closed")
    assert (lifted["keys_destroyed"], json_output("hold list")) == (1, [])
    assert output_words(run("list", "--call-id", "c-heard"))[1][4] == "fixed"
    acts = [record.steps[0].details for name, record in records_of(url).items() if name.startswith("act-")]
    held, _, lifted = acts
    assert (held["act"], held["basis"], held["reference"], held["selected"]) == (
        "hold-placed",
        "preservation",
        "R-9",
        '["c-heard"]',
    )
    assert (lifted["act"], lifted["subject"]) == ("hold-lifted", placed["hold"])


@pytest.mark.parametrize(
    "forged",
    [
        "INSERT INTO steps SELECT id + 50, node, 'act-x', kind, at, replace(replace(details, 'hold-placed', "
        "'hold-lifted'), '{other}', '{held}'), NULL FROM steps WHERE details LIKE '%{held}%'",
        "UPDATE steps SET details = replace(details, 'c-heard', 'c-hoard') WHERE details LIKE '%{held}%'",
        "UPDATE steps SET call_id = 'xct' || substr(call_id, 4) WHERE details LIKE '%{held}%'",
        "DELETE FROM steps WHERE details LIKE '%{held}%'",
    ],
)
@pytest.mark.parametrize("is_last", [False, True])
def test_no_forged_act_destroys_the_key_of_a_held_call(key, forged, is_last):
    """The key of a held call survives a forged act.

    The forged act lifts the hold, names other calls, or removes the hold from the database. The key survives even when
    another hold of the same call ends.
    """
    file = key.with_name("ledger.sqlite3")
    why = ("--reference", "R-9", "--basis", "dispute", "--why", "w")
    placed = [json_output("hold place", "c-heard", *why)["hold"] for _ in range(2)]
    held, other = reversed(placed) if is_last else placed
    run("forget", "--before", "2026-11-02", "--yes")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(forged.format(held=held, other=other))
    with pytest.raises(LedgerError, match="no key is destroyed"):
        run("hold lift", other, "--why", "w")
    assert output_words(run("list", "--call-id", "c-heard"))[1][4] == "…5678"


def test_a_lift_that_was_interrupted_is_finished_by_another(key, monkeypatch):
    placed = json_output("hold place", "c-heard", "--reference", "R-9", "--basis", "dispute", "--why", "w")["hold"]
    run("forget", "--before", "2026-11-02", "--yes")
    lift = ("hold lift", placed, "--why", "w")

    def fails(held, calls):
        raise LedgerError("the keys of held calls cannot be used")

    with monkeypatch.context() as failing:
        failing.setattr(LegalHoldKeys, "destroy", fails)
        with pytest.raises(LedgerError, match="cannot be used"):
            run(*lift)
    assert output_words(run("list", "--call-id", "c-heard"))[1][4] == "…5678"
    act = json_output("hold list --all")[0]["lifted"]
    assert json_output(*lift)["keys_destroyed"] == 1
    assert output_words(run("list", "--call-id", "c-heard"))[1][4] == "fixed"
    assert json_output("hold list --all")[0]["lifted"] == act, "its end is recorded once"
    with pytest.raises(UsageError, match=f"no hold '{placed}' stands"):
        run(*lift)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--basis", "preservation"], "a request to preserve ends by law"),
        (["--basis", "preservation", "--until", "2999-01-01"], "60 days from today at most"),
        (["--basis", "dispute", "--until", "2020-01-01"], "is over"),
        (["--basis", "dispute", "--until", "soon"], "is not a day"),
    ],
)
def test_a_hold_that_must_not_be_placed(key, more, why):
    with pytest.raises(UsageError, match=why):
        run("hold place", "c-heard", "--reference", "R-9", "--why", "w", *more)
    assert json_output("hold list") == []


# -- the tree -------------------------------------------------------------------------------------------------------


def test_a_good_ledger_is_verified(key):
    result = run("verify")
    assert result.exit_code == 0
    assert result.stdout.startswith("good: 2 leaves of 11 steps\n")
    assert "signed       2 leaves (the ledger's own checkpoint)\n" in result.stdout
    assert "in progress  1 call," in result.stdout
    report = json_output("verify")
    assert report["signed"] == [
        {"source": "the ledger's own checkpoint", "leaves": 2},
        {"source": str(key.with_name("key.seen")), "leaves": 2},
    ]
    assert (report["good"], report["log"], report["faults"]) == (True, str(LOG), [])


@pytest.mark.parametrize(
    ("signed", "statements", "fault"),
    [
        (
            "key.seen", ["UPDATE steps SET details = replace(details, 'L-0001', 'L-0002') WHERE call_id = 'c-heard'"],
            "call c-heard: leaf 0 is not what was written",
        ),
        (
            "key.cosigned", ["DELETE FROM steps WHERE leaf = 1", "DELETE FROM hashes WHERE place > 0",
             "DELETE FROM meta WHERE key = 'checkpoint'"],
            "key.cosigned: 2 leaves were signed, and the ledger has 1",
        ),
    ],
)  # fmt: skip
def test_a_changed_ledger_is_a_negative_verdict(key, signed, statements, fault):
    """The verdict depends on the last signatures of the node or of the witnesses."""
    kept = key.with_name("key.seen").rename(key.with_name(signed))
    assert f"signed       2 leaves ({kept})" in run("verify").stdout
    for statement in statements:
        query(key.with_name("ledger.sqlite3"), statement)
    result = run("verify")
    assert (result.exit_code, fault in result.stdout, "NOT GOOD" in result.stdout) == (1, True, True)
    assert not json_output("verify")["good"]


def test_others_verify_it_with_its_verifier_key_and_a_checkpoint_that_they_kept(key, tmp_path):
    assert run("log key").stdout.strip() == str(LOG)
    kept = key.with_name("key.seen").rename(tmp_path / "kept")
    for name in ("key.sign", "key.days"):
        key.with_name(name).unlink()
    with pytest.raises(LedgerError, match=r"key\.sign: the key cannot be read"):
        run("verify")
    result = run("verify", "--log-key", LOG, "--checkpoint", kept)
    assert (result.exit_code, f"signed       2 leaves ({kept})" in result.stdout) == (0, True)


def test_a_call_is_proven_if_it_is_over():
    proof = InclusionProof.parse(run("prove", "c-heard").stdout.encode())
    assert proof.check(proof.extra, LOG).size == 2
    assert json.loads(proof.extra)["call"] == "c-heard"
    (proven,) = json_output("prove", "c-heard")
    assert (proven["leaf"], proven["proof"]) == (0, str(proof))
    for call in ("c-unknown", "c-[odd]"):
        result = run("prove", call)
        assert (result.exit_code, "it is unknown or not over yet" in result.stderr) == (1, True)


def test_a_proof_leads_to_what_witnesses_have_cosigned(key):
    witness = Signer("witness.example/1", bytes(32))
    note = Note.parse(key.with_name("key.seen").read_bytes())
    cosigned = note.with_lines([witness.cosign(note.text, 1793491200)])
    key.with_name("key.cosigned").write_text(str(cosigned))
    write(url_of(key.with_name("ledger.sqlite3")), heard_call("c-later"))
    for call, cosigners, size in (("c-heard", (witness.cosigner,), 2), ("c-later", (), 3)):
        proof = InclusionProof.parse(run("prove", call).stdout.encode())
        assert proof.checkpoint.signed_by([witness.cosigner]) == cosigners
        assert proof.check(proof.extra, LOG).size == size


# -- finding and counting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [FORWARDING, CALLER, "05031234567", "+81 3 1234 5678"])
def test_a_number_is_found_without_being_on_the_command_line(number):
    assert listed_calls("find", typed=f"{number}\n") == ["c-heard", "c-refused", "c-[odd]"], "the last one has no end"


def test_what_is_found_can_be_narrowed():
    early, late = time_after(500).isoformat(), time_after(1500).isoformat()
    for options, ids in (
        (["--since", early], ["c-refused", "c-[odd]"]),
        (["--until", early], ["c-heard"]),
        (["--since", early, "--until", late], ["c-refused"]),
        (["--since", "2026-11-02T00:00:00+00:00"], []),
        (["--until", "2026-10-31T00:00:00+00:00"], []),
        (["--since", "2026-11-01", "--until", "2026-11-01"], ["c-heard", "c-refused", "c-[odd]"]),
        (["--until", "2026-10-31"], []),
        (["--since", "2026-11-02"], []),
    ):
        result = run("find", "--json", *options, typed=f"{CALLER}\n")
        assert [record["call_id"] for record in json.loads(result.stdout)] == ids, options
        assert result.exit_code == (0 if ids else 1)
    result = run("find", "--number", "0312345600")
    assert (result.exit_code, result.stderr) == (1, "no call with this number was found\n")


def test_a_call_is_found_by_the_sip_call_id_of_a_trace():
    assert listed_calls("find", "--sip-call-id", "7f@10.0.0.1") == listed_calls(
        "find", "--sip-call-id", "-", typed=" 7f@10.0.0.1\n"
    )
    assert listed_calls("find", "--sip-call-id", "7f@10.0.0.1") == ["c-refused"]
    result = run("find", "--sip-call-id", "8f@10.0.0.1")
    assert (result.exit_code, result.stderr) == (1, "no call with this SIP Call-ID was found\n")
    for options, says in (
        (["--sip-call-id", " "], "is empty"),
        (["--sip-call-id", "x", "--number", FORWARDING], "two"),
    ):
        with pytest.raises(UsageError, match=says):
            run("find", *options)


COUNTED = {
    "calls": 2, "played": 2, "noticed": 0, "refused": 0, "bypassed": 0, "shed": 0,
    "fallback": 0, "connected": 2, "sent": 1, "confirmed": 0,
}  # fmt: skip


def test_calls_are_counted_by_day_member_and_licence():
    refused, licensed = json_output("stats", *ALL)
    assert licensed == {"day": "2026-11-01", "member": "m-0001", "licence": "L-0001", **COUNTED, "sent_ratio": 0.5}
    assert (refused["licence"], refused["refused"], refused["sent_ratio"]) == ("", 1, None)
    nobody, member = json_output("stats", *ALL, "--by", "member")
    assert member == {"member": "m-0001", **COUNTED, "sent_ratio": 0.5}
    assert (nobody["member"], nobody["calls"]) == ("", 1)
    rows = list(csv.DictReader(run("stats", *ALL, "--csv").stdout.splitlines()))
    assert rows[1] == {name: str(value) for name, value in licensed.items()}
    assert output_words(run("stats", *ALL))[2][-1] == "50.0%"
    assert json_output("stats", *ALL, "--until", time_after(0).isoformat()) == []


def test_the_counts_are_drawn(tmp_path):
    picture = tmp_path / "stats.png"
    for by in ([], ["--by", "member"], ["--by", "day"]):
        assert run("stats", *ALL, "--plot", picture, *by).exit_code == 0
        assert picture.read_bytes().startswith(b"\x89PNG")
        picture.unlink()


def test_what_a_program_reads_is_not_folded():
    listed = CliRunner().invoke(app, ["list"], env={"COLUMNS": "20", "TERM": "dumb"}).stdout.splitlines()
    assert re.fullmatch(r"\S+ \S+ +c-heard +incoming +…5678 +PLAY +licence-valid +sent +CONNECTED *", listed[1])
    assert len(listed) == 4


@pytest.mark.parametrize(("option", "dialect"), [("--csv", "excel"), ("--tsv", "excel-tab")])
def test_records_as_csv_and_tsv(option, dialect):
    def rows(*arguments: str) -> list[dict[str, str]]:
        return list(csv.DictReader(run(*arguments, option).stdout.splitlines(), dialect=dialect))

    heard, refused, odd = rows("list")
    assert heard == {
        "node": "pbx-1", "time": "2026-11-01T00:00:00.123+00:00", "call_id": "c-heard", "direction": "incoming",
        "number": "…5678", "outcome": "PLAY", "reason": "licence-valid", "member": "m-0001", "licence": "L-0001",
        "profile": "sample", "delivery": "sent", "status": "CONNECTED", "hangup_cause": "16", "complete": "yes",
        "fallback": "no", "anomalies": "",
    }  # fmt: skip
    assert (refused["status"], odd["status"], odd["complete"]) == ("REFUSED", "", "no")
    assert odd["anomalies"] == "connected without evidence of the sound"
    assert rows("find", "--number", FORWARDING) == [heard, refused, odd]
    assert rows("stats", *ALL, "--by", "day")[0]["day"] == "2026-11-01"
    assert rows("disclosure requests") == []
    assert run("find", "--number", "0398765432", option).exit_code == 1


@pytest.mark.parametrize("command", ["show", "prove"])
def test_a_call_is_named_by_how_its_id_begins(command):
    assert run(command, "c-h").stdout == run(command, "c-heard").stdout
    assert run(command, "c-x").exit_code == run(command, "").exit_code == 1


def test_of_many_calls_a_few_are_named_and_a_whole_id_is_that_call(other):
    write(other, *(heard_call(f"1795.{number}") for number in range(1, 12)))
    assert run("show", "1795.1", "--ledger", other).exit_code == 0
    message = r"begin with 1795: 1795.4, 1795.5, 1795.6, 1795.7, 1795.8, …; write more of it"
    with pytest.raises(UsageError, match=message):
        run("show", "1795", "--ledger", other)


def test_the_shell_completes_call_ids(key):
    assert completions("idtone ledger show c-") == ["c-refused", "c-heard", "c-[odd]"]
    assert completions("idtone ledger prove c-r") == ["c-refused"]
    assert completions("idtone ledger export c-heard c-[") == ["c-[odd]"]
    assert completions(f"idtone ledger show --ledger {url_of(key)}x c-") == []
    assert completions("idtone ledger show c-", IDTONE_LEDGER_URL="nonsense") == []


def test_calls_are_followed_until_interrupted(key):
    def told_next() -> tuple[str, bool]:
        record = json.loads(process.stdout.readline())
        return record["call_id"], record["complete"]

    def ended(call_id: str, ms: int, status: CallStatus) -> Step:
        return steps.ended(call_id, time_after(ms), status)

    with (
        writer_of(url_of(key.with_name("ledger.sqlite3"))) as writer,
        follow_list("--reason", "licence-valid", "--json") as process,
    ):
        assert told_next() == ("c-heard", True), "the one of these that is over"
        write_each(writer, *heard_call("c-next", 5000), decided(PLAY, "c-open", 6000))
        write_each(writer, decided(REFUSE, "c-other", 7000), ended("c-other", 7001, CallStatus.REFUSED))
        write_each(writer, ended("c-open", 9000, CallStatus.CANCEL))
        assert [told_next(), told_next()] == [("c-next", True), ("c-open", True)]
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0


def test_following_ends_when_nobody_reads_any_more():
    with follow_list("--tsv") as process:
        process.stdout.readline()
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (0, "")
