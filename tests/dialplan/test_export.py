"""`idtone dialplan export`, and the exported text: what it may use, and the words that it shares with the service."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from idtone import dialplan
from idtone.ari_app.connection import APPLICATION
from idtone.ari_app.events import USER_EVENT
from idtone.calls import Direction, Outcome, Reason
from idtone.cli import app
from idtone.decision import CALL_REJECTED, Policy, Unlicensed
from idtone.dialplan import Heard
from idtone.errors import UsageError
from idtone.ledger.steps import CallStatus
from idtone.switchboard.alone import render
from idtone.tones.library import load_library
from idtone.tones.notations.indications import to_asterisk

APPLICATIONS_OF_20 = {
    "AGI", "Answer", "Bridge", "Dial", "ExecIf", "Gosub", "Goto", "GotoIf", "Hangup", "MSet", "NoOp", "Playback",
    "Playtones", "Progress", "Return", "Set", "SoftHangup", "Stasis", "StopPlaytones", "UserEvent", "Wait",
}  # fmt: skip
FUNCTIONS_OF_20 = {
    "AST_CONFIG", "CALLERID", "CHANNEL", "CHANNEL_EXISTS", "CUT", "DIALPLAN_EXISTS", "FILE", "FILTER", "GLOBAL",
    "GROUP", "GROUP_COUNT", "IF", "IMPORT", "LEN", "LOCAL", "RAND", "REDIRECTING", "REGEX", "SHARED", "STACK_PEEK",
    "STRFTIME", "TIMEOUT", "URIENCODE",
}  # fmt: skip
"""Those that Asterisk 20 has with the same arguments, and that the hook may use."""
VARIABLES_OF_ASTERISK = {
    "ANSWEREDTIME", "ARGC", "BRIDGEPEER", "BRIDGERESULT", "CHANNEL", "DIALEDPEERNAME", "DIALSTATUS", "EPOCH", "EXTEN",
    "GOSUB_RESULT", "GOSUB_RETVAL", "HANGUPCAUSE", "PLAYBACKSTATUS", "UNIQUEID",
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
    for target in ":".join(map("".join, targets)).replace("${IF($[", ":").split(":"):
        *before, last = target.rstrip("})").split(",")
        if not target or "(" in target or "$" in last or '"' in target:
            continue  # worked out at run time: where it leads is tested on a real Asterisk
        if before and before[-1] in ("s", "h", "DIAL-${DIALSTATUS}", "${GOSUB_RETVAL}"):
            before[-1:] = [name for name in extensions if re.fullmatch(before[-1].partition("$")[0] + ".*", name)][:1]
        assert (last == "1" and before[-1] in extensions) or last in labels, target
    contexts = {name.partition("/")[0] for name in actions}
    called = set(re.findall(r"(?:Gosub\(|U\(|G\()(idtone-[a-z]+)", code))
    called |= set(re.findall(r"hangup_handler_push\)=(idtone-[a-z]+),s,1", code))
    assert called == contexts - {dialplan.FORWARD_CONTEXT, dialplan.CALLED_CONTEXT}  # those two the operator calls


def test_every_variable_is_set_somewhere(code, text):
    read = set(re.findall(r"\$\{([A-Za-z_]\w*)(?::\d+(?::\d+)?)?\}", code))
    written = (
        set(re.findall(r"Set\((?:LOCAL\(|GLOBAL\(|_{0,2})?([A-Za-z]\w*)\)?=", code))
        | set(re.findall(r"GLOBAL\((\w+)\)=", code))
        | {dialplan.HEARD_VARIABLE, dialplan.WATCHED_VARIABLE}
        | set(re.findall(r"^(IDTONE_\w+)=", text, re.MULTILINE))
    )
    assert {name for name in read if not re.fullmatch(r"ARG\d", name)} - written <= VARIABLES_OF_ASTERISK


# -- the words that it shares with the service --------------------------------------------------------------------


def test_the_contexts_and_extensions_that_the_service_names(actions):
    contexts = (dialplan.CALLED_CONTEXT, dialplan.BOTH_CONTEXT)
    for context in (*contexts, dialplan.FORWARD_CONTEXT):
        assert f"{context}/s" in actions
    continued = [f"{context}/{heard}" for heard in Heard for context in contexts] + [f"{dialplan.FORWARD_CONTEXT}/_v:."]
    for extension in continued:
        # In Dial()'s Gosub() Asterisk goes on at one priority before.
        assert actions[extension][dialplan.RESUME_PRIORITY - 2] == "NoOp()", extension
        assert len(actions[extension]) >= dialplan.RESUME_PRIORITY


def test_the_hook_cuts_the_verdict_where_it_was_joined(code):
    files = {"called": "to-called", "caller": "to-caller"}
    verdict = dialplan.Verdict("12", "OUTCOME", "reason", 21, 3, ("called", "caller"), True, files)
    fields = ["12", "OUTCOME", "reason", "21", "3", "both", "answer"]
    assert verdict.extension.split(":") == ["v", *fields]
    assert verdict.variable.split(":") == [*fields, "to-called", "to-caller"]
    cut: dict[int, str] = {}
    for line in code.splitlines():
        for number in re.findall(r"\$\{CUT\(IDTONE_VERDICT,:,(\d)\)\}", line):
            cut[int(number)] = cut.get(int(number), "") + line + "\n"
    for field, used in enumerate(
        ("IDTONE_NONCE", '"REFUSE"', "IDTONE_REASON=", "IDTONE_CAUSE=", "TIMEOUT(absolute)", '"called"', "Answer", "U(",
         "IDTONE_FILE="), 1,
    ):  # fmt: skip
        assert used in cut[field], field
    outcomes = re.findall(r"\" = \"(\w+)\"", cut[2])
    assert {Outcome(outcome) for outcome in outcomes} == {Outcome.REFUSE, Outcome.BYPASS}
    assert set(re.findall(r'= "(\w+)"', cut[6])) == {
        dialplan.parties_word(who) for who in ((), ("called",), ("caller",))
    }


def test_the_questions_to_the_service(code):
    question, blank, own = re.findall(r"Set\(IDTONE_QUESTION=(.*)\)$", code, re.MULTILINE)
    assert [len(each.split(",")) for each in (question, blank, own)] == [4, 4, 4]
    (whole,) = re.findall(
        r"Set\(IDTONE_ASKED=(\$\{IDTONE_CALL_ID\},\$\{IDTONE_NONCE\},\$\{IDTONE_QUESTION\}.*)\)$", code, re.M
    )
    asked = code.replace("Set(IDTONE_ASKED=${IDTONE_ASKED}", f"Set(IDTONE_ASKED={whole}")
    asked = asked.replace("decide,${IDTONE_ASKED})\n", f"decide,{whole})\n", 1).replace("${IDTONE_QUESTION}", question)
    touches = [line.split(",") for line in re.findall(r"Stasis\((.*)\)", asked)]
    assert {(touch[0], touch[1], len(touch)) for touch in touches} == {
        (APPLICATION, "decide", 10),
        (APPLICATION, "sound", 7),
    }
    both = re.findall(r"Set\(IDTONE_ASKED=(.*)\)\nAGI\(\$\{IDTONE_AGI\}decide,\$\{IDTONE_ASKED\}\)", asked)
    assert [len(arguments.split(",")) for arguments in both] == [10, 10]
    asked = asked.replace("${IDTONE_ASKED}", both[0])
    requests = [line.split(",") for line in re.findall(r"AGI\(\$\{IDTONE_AGI\}(.*?)\)+$", asked, re.MULTILINE)]
    assert {(request[0], len(request)) for request in requests} == {
        ("decide", 11),
        ("playing", 4),
        ("played", 8),
        ("ended", 6),
    }


def test_a_program_is_asked_without_numbers_on_its_command_line(tmp_path):
    settings = tmp_path / "idtone.yaml"
    settings.write_text("agi: {listen: unix:/run/idtone/agi.sock}\n")
    assert export(tmp_path / "etc", "-c", str(settings)).exit_code == 0
    text = (tmp_path / "etc" / "idtone.conf").read_text("utf-8")
    (program,) = re.findall(r"^IDTONE_AGI=(.*)$", text, re.MULTILINE)
    assert program == f"{Path(sys.executable).with_name('idtone-agi')},-c,{settings},"
    for arguments in re.findall(r"AGI\(\$\{IDTONE_AGI\}(.*?)\)+$", text, re.MULTILINE):
        entry, _, rest = arguments.partition(",")
        assert rest == "variable:IDTONE_ASKED" if entry == "decide" else "NUMBER" not in rest and "CALLERID" not in rest


def test_the_file_of_what_asterisk_knows_alone(code):
    read = set(re.findall(r"AST_CONFIG\(\$\{IDTONE_SOUNDS\}/alone.conf,(\w+),([^)\n]*)\)", code))
    policy = dialplan.ALONE_POLICY
    assert {(section, key) for section, key in read if "IF(" not in key} == {
        (dialplan.ALONE_SUSPENDED, "${number}"),
        *((policy, key) for key in ("refuse_cause", "service_away", "answer_first")),
    }
    assert '${IF($["${ARG2}" = "outgoing"]?outgoing:incoming)}' in code  # the keys of who hears the notice
    text = render([], Policy(), Unlicensed.NOTICE)
    for key in ("refuse_cause", "service_away", "answer_first", *Direction):
        assert f"\n{key} = " in text
    assert [Unlicensed(word) for word in re.findall(r'service_away\)}" = "(\w+)"', code)] == [Unlicensed.REFUSE]
    assert f"Set(LOCAL(cause)={CALL_REJECTED})" in code


def test_the_lines_for_what_it_does_alone(text, code):
    """As many fields as the service reads; that they are the right ones is tested on a real Asterisk."""
    assert f"IDTONE_UNATTENDED=/var/lib/asterisk/sounds/idtone/{dialplan.UNATTENDED_FILE}\n" in text
    lines = re.findall(r"Set\(FILE\(\$\{IDTONE_UNATTENDED\},,,al,u\)=(.*)\)$", code, re.MULTILINE)
    assert len(lines) == code.count("FILE(") == 5
    (shed,) = (line for line in lines if "SHED" in line)
    began, question, stands = "STRFTIME(,UTC,%s.%6q)", "IDTONE_QUESTION", "IDTONE_ALONE"
    parts = {f"${{{began}}}": "b", f"${{{question}}}": "n,d,c,s", f"${{{stands}}}": "b"}

    def fields(line: str) -> int:
        for name, plain in parts.items():
            line = line.replace(name, plain)
        return len(re.sub(r"\$\{(?:[^{}]|\{[^{}]*\})*\}", "x", re.sub(r"\$\{IF\(.*?\)\}(?=,|$)", "x", line)).split(","))

    assert fields(shed) == 14
    did = re.findall(r"Set\(IDTONE_ALONE=(\$\{IDTONE_ALONE(?::0:17)?\},.*)\)$", code, re.MULTILINE)
    assert len(did) == 6
    assert {1 + fields(line.replace("${IDTONE_ALONE:0:17}", "b")) for line in did} == {10}
    (end,) = re.findall(r"Set\(IDTONE_ALONE=\$\{IDTONE_CALL_ID\},\$\{IDTONE_ALONE\},(.*)\)$", code, re.MULTILINE)
    assert fields(end) == 4


def test_every_status_is_the_ledgers(text, code):
    assert set(re.findall(r"IDTONE_STATUS=(\w+)", code)) == set(CallStatus)
    (documented,) = re.findall(r"IDTONE_STATUS +((?:[A-Z]+ \| )+[A-Z]+)", text)
    assert documented.split(" | ") == list(CallStatus)


def test_every_reason_is_the_decisions(code):
    named = re.findall(r"IDTONE_REASON=([a-z-]+)", code) + re.findall(r"Return\(([a-z-]+):", code)
    assert set(map(Reason, named)) == {
        Reason.EMERGENCY,
        Reason.NUMBER_MALFORMED,
        Reason.NUMBER_SUSPENDED,
        Reason.OVERLOAD,
        Reason.SERVICE_UNAVAILABLE,
    }


def test_the_event_of_the_end(code):
    told = re.findall(r"UserEvent\((\w+),(.*)\)", code)
    assert told
    assert set(told) == {
        (
            USER_EVENT,
            "call: ${IDTONE_CALL_ID},status: ${IDTONE_STATUS},cause: ${IDTONE_CAUSE},reason: ${IDTONE_REASON},"
            'heard: ${IF($["${IDTONE_ALONE}" = ""]?:${SHARED(IDTONE_NOTICED_called)}${SHARED(IDTONE_NOTICED_caller)})}',
        )
    }


def test_every_variable_that_the_hook_returns_is_documented(text, code):
    documented = set(re.findall(r"^; .*?\b(IDTONE_[A-Z_]+)  ", text, re.MULTILINE))
    assert documented == {"IDTONE_STATUS", "IDTONE_REASON", "IDTONE_CALL_ID", "IDTONE_CAUSE"}
    assert documented <= set(re.findall(r"Set\((IDTONE_\w+)=", code))
