"""`idtone dialplan export`, and the exported text: what it may use, and the words that it shares with the service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from idtone import dialplan
from idtone.ari_app.connection import APPLICATION
from idtone.ari_app.events import USER_EVENT
from idtone.calls import Outcome, Reason
from idtone.cli import app
from idtone.decision import CALL_REJECTED, Policy, Unlicensed
from idtone.dialplan import Heard
from idtone.errors import UsageError
from idtone.ledger.steps import CallStatus
from idtone.tones.library import load_library
from idtone.tones.notations.indications import to_asterisk

APPLICATIONS_OF_20 = {
    "Dial", "ExecIf", "Gosub", "Goto", "GotoIf", "NoOp", "Playback", "Playtones", "Return", "Set", "Stasis",
    "StopPlaytones", "UserEvent", "Wait",
}  # fmt: skip
FUNCTIONS_OF_20 = {
    "AST_CONFIG", "CUT", "DIALPLAN_EXISTS", "FILTER", "IF", "LEN", "LOCAL", "REGEX", "STACK_PEEK", "TIMEOUT",
    "URIENCODE",
}  # fmt: skip
"""Those that Asterisk 20 has with the same arguments, and that the hook may use."""
VARIABLES_OF_ASTERISK = {
    "ANSWEREDTIME", "DIALSTATUS", "EPOCH", "EXTEN", "GOSUB_RESULT", "GOSUB_RETVAL", "HANGUPCAUSE",
    "PLAYBACKSTATUS", "UNIQUEID",
}  # fmt: skip

LINE = re.compile(
    r"(?:exten = (?P<extension>[^,]+),(?P<priority>\d+)| same = n(?:\((?P<label>[\w-]+)\))?),(?P<action>.+)"
)


def export(directory: Path, *arguments: str):
    return CliRunner().invoke(app, ["dialplan", "export", str(directory), *arguments])


@pytest.fixture
def text(tmp_path, monkeypatch) -> str:
    monkeypatch.setenv("IDTONE_SOUNDS_DIRECTORY", "/var/lib/asterisk/sounds/idtone")
    result = export(tmp_path / "etc" / "new")
    assert result.exit_code == 0, result.output
    assert result.output.split() == [str(tmp_path / "etc" / "new" / "idtone.conf")]
    return (tmp_path / "etc" / "new" / "idtone.conf").read_text("utf-8")


@pytest.fixture
def actions(text) -> dict[str, list[str]]:
    """`context/extension` → its actions, in order of priority."""
    found: dict[str, list[str]] = {}
    context = extension = ""
    for line in text.splitlines():
        if line.startswith("["):
            context = line.strip("[]")
        elif line and not line.startswith(";") and context != "globals":
            matched = LINE.fullmatch(line)
            assert matched, f"neither exten nor same: {line!r}"
            if matched["extension"]:
                assert matched["priority"] == "1"
                extension = f"{context}/{matched['extension']}"
            found.setdefault(extension, []).append(matched["action"])
    return found


@pytest.fixture
def code(actions) -> str:
    return "\n".join(action for extension in actions.values() for action in extension)


# -- the command ------------------------------------------------------------------------------------------------


def test_the_values_are_filled_in(text):
    notice = load_library()[Policy().notice_profile]
    assert "IDTONE_SOUNDS=/var/lib/asterisk/sounds/idtone\n" in text
    assert f"IDTONE_NOTICE_TONES={to_asterisk(notice)}\n" in text
    (seconds,) = re.findall(r"^IDTONE_NOTICE_SECONDS=([0-9.]+)$", text, re.MULTILINE)
    assert float(seconds) == pytest.approx(notice.duration_ms / 1000)
    assert not re.findall(r"@[A-Z_]+@", text)


def test_a_second_export_changes_nothing(tmp_path):
    export(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert export(tmp_path).exit_code == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert set(first) == {"idtone.conf"}


def test_an_older_export_is_replaced(tmp_path, text):
    (tmp_path / "idtone.conf").write_text("[idtone-forward]\nexten = s,1,Return()\n" * 1000)
    export(tmp_path)
    assert (tmp_path / "idtone.conf").read_text() == text


def test_the_settings_say_where_the_sounds_are(tmp_path):
    settings = tmp_path / "idtone.yaml"
    settings.write_text("sounds: {directory: /srv/音/idtone}\n")
    assert export(tmp_path / "etc", "-c", str(settings)).exit_code == 0
    assert "IDTONE_SOUNDS=/srv/音/idtone\n" in (tmp_path / "etc" / "idtone.conf").read_text("utf-8")


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    result = export(tmp_path / place)
    assert isinstance(result.exception, UsageError)  # console.run: exit 2
    (line,) = str(result.exception).splitlines()
    assert line.startswith(f"{tmp_path / place}: cannot be written: ")
    assert "name another folder" in line
    assert (tmp_path / "file").read_text() == "in the way"


# -- what it may use --------------------------------------------------------------------------------------------


def test_only_what_asterisk_20_has_is_used(code):
    nested = re.findall(r"\?([A-Z]\w+)\(", code)
    assert {action.partition("(")[0] for action in code.splitlines()} | set(nested) <= APPLICATIONS_OF_20
    assert set(re.findall(r"\$\{([A-Z_]+)\(", code)) | set(re.findall(r"Set\(([A-Z_]+)\(", code)) <= FUNCTIONS_OF_20


def test_every_bracket_is_closed(actions):
    for extension in actions.values():
        for action in extension:
            bare = re.sub(r"\"\^?[^\"]*\"", '""', action)
            for opened, closed in ("()", "[]", "{}"):
                assert bare.count(opened) == bare.count(closed), action


def test_every_goto_and_gosub_has_its_place(text, actions, code):
    labels = set(re.findall(r"same = n\(([\w-]+)\)", text))
    extensions = {name.partition("/")[2] for name in actions}
    targets = re.findall(r"^GotoIf\(.*\?(.*)\)$|^Goto\((.*)\)$|^Gosub\((\w+,1)\)$", code, re.MULTILINE)
    assert len(targets) > 20
    for target in ":".join(map("".join, targets)).split(":"):
        *before, last = target.split(",")
        if before and before[-1] in ("s", "h", "DIAL-${DIALSTATUS}"):
            before[-1:] = [name for name in extensions if re.fullmatch(before[-1].partition("$")[0] + ".*", name)][:1]
        assert (last == "1" and before[-1] in extensions) or last in labels, target
    contexts = {name.partition("/")[0] for name in actions}
    assert set(re.findall(r"(?:Gosub\(|U\()(idtone-[a-z]+)", code)) == contexts - {dialplan.FORWARD_CONTEXT}


def test_every_variable_is_set_somewhere(code, text):
    read = set(re.findall(r"\$\{([A-Za-z_]\w*)(?::\d+(?::\d+)?)?\}", code))
    written = set(re.findall(r"Set\((?:LOCAL\()?([A-Za-z_]\w*)\)?=", code)) | set(
        re.findall(r"^(IDTONE_\w+)=", text, re.MULTILINE)
    )
    assert {name for name in read if not re.fullmatch(r"ARG\d", name)} - written <= VARIABLES_OF_ASTERISK


# -- the words that it shares with the service --------------------------------------------------------------------


def test_the_contexts_and_extensions_that_the_service_names(actions):
    assert f"{dialplan.FORWARD_CONTEXT}/s" in actions
    assert f"{dialplan.CALLED_CONTEXT}/s" in actions
    continued = [f"{dialplan.CALLED_CONTEXT}/{heard}" for heard in Heard] + [f"{dialplan.FORWARD_CONTEXT}/_v:."]
    for extension in continued:
        # In Dial()'s Gosub() Asterisk goes on at one priority before.
        assert actions[extension][dialplan.RESUME_PRIORITY - 2] == "NoOp()", extension
        assert len(actions[extension]) >= dialplan.RESUME_PRIORITY


def test_the_hook_cuts_the_verdict_where_it_was_joined(actions):
    fields = dialplan.verdict("pbx-1795.1-7", "OUTCOME", "reason", 21, 3).split(":")
    assert fields == ["v", "7", "OUTCOME", "reason", "21", "3"]
    cut = {
        int(number): action
        for action in actions[f"{dialplan.FORWARD_CONTEXT}/_v:."]
        for number in re.findall(r"\$\{CUT\(EXTEN,:,(\d)\)\}", action)
        if "IDTONE" in action
    }
    assert "IDTONE_CALLS" in cut[2]
    assert "IDTONE_REASON=" in cut[4]
    assert "IDTONE_CAUSE=" in cut[5]
    assert "Dial(" in cut[6]
    outcomes = re.findall(r"CUT\(EXTEN,:,3\)\}\" = \"(\w+)\"", "\n".join(actions[f"{dialplan.FORWARD_CONTEXT}/_v:."]))
    assert [Outcome(outcome) for outcome in outcomes] == [Outcome.REFUSE, Outcome.BYPASS]


def test_the_questions_to_the_service(code):
    touches = [line.split(",") for line in re.findall(r"Stasis\((.*)\)", code)]
    assert [(touch[0], touch[1], len(touch)) for touch in touches] == [
        (APPLICATION, "decide", 7),
        (APPLICATION, "sound", 5),
    ]


def test_the_file_of_what_asterisk_knows_alone(code):
    read = set(re.findall(r"AST_CONFIG\(([^)]*)\)", code))
    place = f"${{IDTONE_SOUNDS}}/{dialplan.ALONE_FILE}"
    assert read == {
        f"{place},{dialplan.ALONE_SUSPENDED},${{number}}",
        f"{place},{dialplan.ALONE_POLICY},refuse_cause",
        f"{place},{dialplan.ALONE_POLICY},service_away",
    }
    assert [Unlicensed(word) for word in re.findall(r'service_away\)}" = "(\w+)"', code)] == [Unlicensed.REFUSE]
    assert f"Set(LOCAL(cause)={CALL_REJECTED})" in code


def test_every_status_is_the_ledgers(text, code):
    assert set(re.findall(r"IDTONE_STATUS=(\w+)", code)) == set(CallStatus)
    (documented,) = re.findall(r"IDTONE_STATUS +((?:[A-Z]+ \| )+[A-Z]+)", text)
    assert documented.split(" | ") == list(CallStatus)


def test_every_reason_is_the_decisions(code):
    named = re.findall(r"IDTONE_REASON=([a-z-]+)", code) + re.findall(r"Return\(([a-z-]+)", code)
    assert set(map(Reason, named)) == {Reason.EMERGENCY, Reason.NUMBER_SUSPENDED, Reason.SERVICE_UNAVAILABLE}


def test_the_event_of_the_end(code):
    told = re.findall(r"UserEvent\((\w+),(.*)\)", code)
    assert told
    assert set(told) == {
        (USER_EVENT, "call: ${IDTONE_CALL_ID},status: ${IDTONE_STATUS},cause: ${IDTONE_CAUSE},reason: ${IDTONE_REASON}")
    }


def test_every_variable_that_the_hook_returns_is_documented(text, code):
    documented = set(re.findall(r"^; .*?\b(IDTONE_[A-Z_]+)  ", text, re.MULTILINE))
    assert documented == {"IDTONE_STATUS", "IDTONE_REASON", "IDTONE_CALL_ID", "IDTONE_CAUSE"}
    assert documented <= set(re.findall(r"Set\((IDTONE_\w+)=", code))
