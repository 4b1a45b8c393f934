"""`idtone registry …`, run as the command line runs it."""

import hashlib
import os
from collections.abc import Callable
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import idtone.core.settings.settings
from lab.registry.examples import GOOD, replace_in_good
from lab.terminal import Terminal

Run = Callable[..., tuple[int, str, str]]

DECIDE = ("decide", "--direction", "incoming", "--at", "2026-11-10T09:00:00+09:00")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registry.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(idtone.core.settings.settings, "DEFAULT_FILE", Path("/nonexistent/idtone.yaml"))
    for name in filter(lambda name: name.startswith("IDTONE_"), list(os.environ)):
        monkeypatch.delenv(name)
    return partial(Terminal().run, "registry")


def read_json(run: Run, *arguments: object) -> Any:
    return run(*arguments, "--json")[1]


def test_check_counts_a_good_registry(run, file):
    counted = {"members": 2, "licences": 1, "numbers": 1101, "chains": 0, "portings": 0, "suspensions": 1}
    code, out, err = run("check", file)
    assert (code, err) == (0, "")
    rows = [[name, f"{count:,}"] for name, count in counted.items()]
    assert [line.split() for line in out.splitlines()] == [[f"{file}:", "good"], *rows]
    assert read_json(run, "check", file) == {"file": str(file), "good": True, "faults": [], **counted}


def test_check_reports_all_faults_with_exit_1(run, file):
    file.write_text(replace_in_good("0312340001", "119").replace("tone: sample", "tone: simple"), encoding="utf-8")
    code, out, _ = run("check", file)
    tone, number, count = out.splitlines()
    assert tone.startswith(f"{file}:10:9: members[0].licences[0].tone: names the tone 'simple'")
    assert "Did you mean 'sample'" in tone
    assert number.startswith(f"{file}:20:9: members[1].numbers[0]: this is an emergency number")
    assert (code, count) == (1, f"{file}: 2 faults")
    report = read_json(run, "check", file)
    assert report["good"] is False
    assert [(fault["line"], fault["field"], bool(fault["remedy"])) for fault in report["faults"]] == [
        (10, "members[0].licences[0].tone", True),
        (20, "members[1].numbers[0]", True),
    ]
    file.write_text("a: [", encoding="utf-8")
    assert run("check", file)[0] == 1


def test_check_of_an_unreadable_file_is_exit_2(run, file, tmp_path):
    file.write_bytes(b"\xff\xfe")
    for path, problem in ((file, "not UTF-8"), (tmp_path, "not UTF-8"), (tmp_path / "none", "cannot be read")):
        code, out, err = run("check", path)
        assert (code, out, problem in err) == (2, "", True)


APPLICATION = resources.files("idtone.config").joinpath("member_application.yaml").read_text("utf-8")


def test_a_member_checks_an_application(run, tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text(APPLICATION, "utf-8")
    assert run("check", path)[:2] == (0, f"{path}: good\n  licences    1\n  numbers     101\n")
    path.write_text(APPLICATION.replace("{signed: 2026-11-18,", "{signed: 2026-11-21,"), "utf-8")
    code, out, _ = run("check", path)
    assert (code, out.splitlines()[1]) == (1, f"{path}: 1 fault")
    assert "application.pledge.signed: is after `received`" in out
    code, _, err = run("show", path)
    assert (code, "is an application, not a registry; check it with `idtone registry check`" in err) == (2, True)


def test_a_folder_of_the_association_is_checked_and_shown(run, tmp_path):
    whole = GOOD.partition("suspensions:")
    (tmp_path / "registry.yaml").write_text(whole[0], "utf-8")
    stopped = tmp_path / "suspensions.yaml"
    stopped.write_text(f"issued: 2026-11-01T00:00:00+09:00\nsuspensions:{whole[2]}", "utf-8")
    code, out, _ = run("check", tmp_path)
    assert (code, "members" in out, "suspensions 1" in out) == (0, True, True)
    code, out, _ = run("show", tmp_path)
    assert (code, "JUSA, version 42" in out, "…5677" in out) == (0, True, True)
    code, out, _ = run("show", stopped)
    assert (code, out.splitlines()[0], "…5677" in out, "12345" in out) == (0, "suspensions", True, False)


def test_the_default_file_is_that_of_the_settings(run, file, tmp_path):
    config = tmp_path / "idtone.yaml"
    config.write_text(f"registry: {{source: {file}, trust: unsigned}}\nassociation: {{member: m-0001}}")
    assert run("check", "-c", config)[0] == 0
    assert "m-0001" in run("show", "-c", config)[1]
    assert run(*DECIDE, "-c", config, "--number", "0312345678")[0] == 0


def test_show_is_readable_and_masks_suspended_numbers(run, file):
    code, out, _ = run("show", file)
    assert code == 0
    for text in (
        "JUSA, version 42",
        "良い電話株式会社 / Good Telecom",
        "L-0001: licence-",
        "no licence",
        "…5677",
        "R-1",
    ):
        assert text in out
    assert "12345" not in out
    report = read_json(run, "show", file)
    assert [member["id"] for member in report["members"]] == ["m-0001", "m-0002"]
    assert report["members"][0]["numbers"] == 1100
    assert report["suspensions"] == [
        {"kind": "stop", "number": "…5677", "numbers": None, "member": None, "since": MARCH, "until": None,
         "in_force": True, "reference": "R-1", "authority": None}
    ]  # fmt: skip


MARCH, APRIL = "2026-03-01T00:00:00+09:00", "2026-04-01T00:00:00+09:00"
EACH_KIND = f"""
  - {{numbers: "0312345600-0312345699", since: {MARCH}, until: {APRIL}, reference: R-1}}
  - {{member: m-0001, since: {MARCH}, reference: R-2, authority: 警視庁}}
  - {{member: m-0001, kind: no-new-numbers, since: {MARCH}, reference: R-2}}
"""


def test_show_and_diff_name_suspensions_of_each_kind(run, tmp_path):
    old, new, later = (tmp_path / f"{name}-suspensions.yaml" for name in ("old", "new", "later"))
    head = "issued: 2026-11-01T00:00:00+09:00\nsuspensions: "
    old.write_text(f"{head}[]\n")
    new.write_text(head + EACH_KIND)
    assert run("show", new)[1].splitlines()[1:] == [
        f"  …5600 to …5699 (100 numbers)  since {MARCH} until 2026-03-31 (not in force)  reference R-1",
        f"  all numbers of member m-0001  since {MARCH}  reference R-2, 警視庁",
        f"  no new numbers for member m-0001  since {MARCH}  reference R-2",
    ]
    code, out, _ = run("diff", old, new)
    assert code == 1
    assert out.splitlines() == [
        f"…5600 to …5699 (100 numbers): is suspended since {MARCH} until 2026-03-31 (reference R-1)",
        f"all numbers of member m-0001: is suspended since {MARCH} (reference R-2, 警視庁)",
        f"member m-0001: gets no new numbers since {MARCH} (reference R-2)",
    ]
    later.write_text(new.read_text().replace("until: 2026-04", "until: 2026-05").partition("  - {member: m-0001, k")[0])
    assert run("diff", new, later)[1].splitlines() == [
        "member m-0001: may get new numbers again (reference R-2)",
        "…5600 to …5699 (100 numbers): the end of its suspension is 2026-04-30, was 2026-03-31",
    ]


def test_show_one_member_or_an_error(run, file):
    code, out, _ = run("show", file, "m-0002")
    assert (code, out[:6], "m-0001" in out) == (0, "m-0002", False)
    assert read_json(run, "show", file, "m-0002")["licences"] == []
    code, _, err = run("show", file, "m-9")
    assert (code, "no member 'm-9'" in err) == (2, True)
    file.write_text(replace_in_good("0312340001", "119"), encoding="utf-8")
    code, out, err = run("show", file)
    assert (code, out, f"{file}:20:9" in err) == (2, "", True)


def test_decide(run, file):
    for arguments, code, outcome, reason in (
        (("0312345678",), 0, "PLAY", "licence-valid"),
        (("0312345677",), 1, "REFUSE", "number-suspended"),
        (("0312345677", "--called", "110"), 0, "BYPASS", "emergency"),
        (("0312340001",), 1, "NOTICE", "licence-none"),
        (("0312340001", "--member", "m-0001"), 1, "REFUSE", "number-of-another-member"),
        (("0312345678", "--member", "m-0001"), 0, "PLAY", "licence-valid"),
        (("0399999999",), 1, "NOTICE", "number-unknown"),
        (("0399999999", "--direction", "outgoing"), 1, "REFUSE", "number-unknown"),
        (("abc",), 1, "REFUSE", "number-malformed"),
        (("",), 1, "REFUSE", "number-withheld"),
        (("0312345678", "--at", "2036-12-01T00:00:00+09:00"), 1, "NOTICE", "registry-stale"),
        (("0312345678", "--at", "2036-11-30T14:59:59Z"), 0, "PLAY", "licence-valid"),
        (("0312345678", "--at", "2026-01-09T23:59:59+09:00"), 1, "NOTICE", "licence-not-yet-valid"),
    ):
        ended, answer, _ = run(*DECIDE, "--registry", file, "--caller", "09098765432", "--number", *arguments, "--json")
        assert (ended, answer["outcome"], answer["reason"]) == (code, outcome, reason), arguments
        assert "12345" not in str(answer)
        assert "98765" not in str(answer)


def test_decide_reports_all_facts(run, file):
    assert read_json(run, *DECIDE, "--registry", file, "--number", "0312345678") == {
        "outcome": "PLAY", "reason": "licence-valid", "member": "m-0001", "wholesale_chain": None, "licence": "L-0001",
        "profile": "sample", "parties": ["called"],
        "registry_version": 42, "registry_trust": "unsigned", "hangup_cause": None, "number": "…5678",
        "direction": "incoming", "at": "2026-11-10T09:00:00+09:00",
        "registry_sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest(),
    }  # fmt: skip
    _, out, _ = run(*DECIDE, "--registry", file, "--number", "0312345677")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (lines["outcome"], lines["hangup_cause"], lines["licence"], lines["parties"]) == ("REFUSE", "21", "-", "-")


def test_without_a_member_in_the_settings_no_licence_counts(run, file, tmp_path):
    config = tmp_path / "idtone.yaml"
    source = f"registry: {{source: {file}, trust: unsigned}}\n"
    for member, outcome, reason in (
        ("", "NOTICE", "member-not-set"),
        ("association: {member: m-0001}", "PLAY", "licence-valid"),
        ("association: {member: m-0002}", "REFUSE", "number-of-another-member"),
    ):
        config.write_text(source + member)
        answer = read_json(run, *DECIDE, "-c", config, "--number", "0312345678")
        assert (answer["outcome"], answer["reason"]) == (outcome, reason)


def test_decide_uses_the_policy_of_the_settings(run, file, tmp_path):
    config = tmp_path / "idtone.yaml"
    config.write_text("policy: {unlicensed: refuse, refuse_cause: 34, registry_stale: PT1H}")
    arguments = (*DECIDE, "--registry", file, "-c", config, "--number")
    answer = read_json(run, *arguments, "0399999999")
    assert (answer["outcome"], answer["hangup_cause"]) == ("REFUSE", 34)
    assert read_json(run, *arguments, "0312345678", "--at", "2036-12-01T00:59:59+09:00")["outcome"] == "PLAY"


def test_decide_needs_a_moment_with_its_time_zone_and_a_registry(run, file, tmp_path):
    ask = (*DECIDE, "--number", "0312345678", "--registry")
    for at in ("2026-11-10T09:00:00", "2026-11-10", "tomorrow", ""):
        remedy = "+09:00" if at.startswith("2026") else "Write it like"
        code, out, err = run(*ask, file, "--at", at)
        assert (code, out, err.startswith("idtone: --at"), remedy in err) == (2, "", True, True), at
    code, out, err = run(*ask, tmp_path / "none.yaml")
    assert (code, out, "cannot be read" in err, "12345" in err) == (2, "", True, False)


def test_wrong_use_is_exit_2(run):
    for wrong in (("decide", "--number", "1"), ("decide", "--number", "1", "--direction", "inward"), ("publish",)):
        assert run(*wrong)[0] == 2
    for command in ("check", "decide"):
        code, out, _ = run(command, "--help")
        assert (code, "Exit 0" in out) == (0, True)
