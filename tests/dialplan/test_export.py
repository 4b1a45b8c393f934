"""`idtone dialplan export`: the functions that the exported text may use, and the words that it shares with the
service.
"""

import hashlib
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from idtone import dialplan
from idtone.call_control.fallback_conf import render
from idtone.cli import app
from idtone.core import numbers
from idtone.core.calls import Reason
from idtone.core.decision import CALL_REJECTED, Policy, Unlicensed
from idtone.core.errors import UsageError
from idtone.core.number_spans import OPEN_DIGITS
from idtone.core.numbers import NumberKind, ascii_form, parse
from idtone.dialplan import Played, expressions
from idtone.dialplan.number_expressions import ABROAD, JAPANESE, WITHHELD, is_emergency_call
from idtone.ledger.evidence.steps import CallStatus
from idtone.tones.notations.indications import to_asterisk
from idtone.tones.profile_library import load_library

APPLICATIONS_OF_20 = {
    "AGI", "Dial", "ExecIf", "Gosub", "GosubIf", "Goto", "GotoIf", "Hangup", "MSet", "NoOp", "Originate", "Playback",
    "Playtones",
    "Progress", "Return", "Set", "StackPop", "Stasis", "StopPlaytones", "TryExec", "Wait",
}  # fmt: skip
FUNCTIONS_OF_20 = {
    "AST_CONFIG", "CALLERID", "CDR", "CHANNEL", "CONNECTEDLINE", "CUT", "DIALPLAN_EXISTS", "ENV", "FIELDNUM",
    "FIELDQTY", "FILE", "FILTER", "GLOBAL", "GROUP", "GROUP_COUNT", "IF", "IMPORT", "LEN", "LOCAL",
    "PJSIP_ENDPOINT", "PJSIP_HEADER", "RAND", "REDIRECTING", "REGEX", "REPLACE", "SHARED", "STACK_PEEK", "STAT",
    "STRFTIME", "STRREPLACE", "TIMEOUT", "URIDECODE", "URIENCODE",
}  # fmt: skip
"""Functions that the hook may use. Asterisk 20 has all of them, with the same arguments."""
VARIABLES_OF_ASTERISK = {
    "ANSWEREDTIME_MS", "ARGC", "ASTETCDIR", "CHANNEL", "DIALEDPEERNAME", "DIALEDPEERNUMBER", "DIALSTATUS", "EPOCH",
    "EXTEN", "GOSUB_RESULT", "GOSUB_RETVAL", "HANGUPCAUSE", "PLAYBACKSTATUS", "STASISSTATUS", "TRYSTATUS", "UNIQUEID",
}  # fmt: skip

LINE = re.compile(
    r"(?:exten = (?P<extension>[^,]+),(?P<priority>\d+)| same = n(?:\((?P<label>[\w-]+)\))?),(?P<action>.+)"
)


def export(directory: Path, *arguments: str):
    return CliRunner().invoke(app, ["dialplan", "export", str(directory), *arguments])


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDTONE_SOUNDS_DIRECTORY", "/var/lib/asterisk/sounds/idtone")
        result = export(folder)
    assert result.exit_code == 0, result.output
    assert result.output.split() == [str(folder / "idtone.conf")]
    return (folder / "idtone.conf").read_text("utf-8")


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def code(actions) -> str:
    return "\n".join(action for extension in actions.values() for action in extension)


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_values_are_filled_in(text):
    notice = load_library()[Policy().notice_profile]
    assert "IDTONE_SOUNDS=/var/lib/asterisk/sounds/idtone\n" in text
    assert f"IDTONE_NOTICE_TONES={to_asterisk(notice)}\n" in text
    (seconds,) = re.findall(r"^IDTONE_NOTICE_SECONDS=([0-9.]+)$", text, re.MULTILINE)
    assert float(seconds) == pytest.approx(notice.duration_ms / 1000)
    assert not re.findall(r"@[A-Z_]+@", text)


def test_an_older_export_is_replaced_and_only_the_owner_and_group_can_read_the_file(tmp_path):
    path = tmp_path / "idtone.conf"
    path.write_text("[idtone-forward]\nexten = s,1,Return()\n" * 1000)
    path.chmod(0o666)
    texts = set()
    for _ in range(2):
        assert export(tmp_path).exit_code == 0
        texts.add(path.read_text())
        assert stat.S_IMODE(path.stat().st_mode) == dialplan.HOOK_MODE == 0o640
    assert len(texts) == 1
    assert "Return()\nexten = s,1,Return()" not in texts.pop()
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_used_is_one_clear_error(tmp_path):
    """The export does not create the folder."""
    (tmp_path / "file").write_text("in the way")
    for place, error, remedy in (
        ("etc/asterisk", "no such folder", "name the folder"),
        ("file", "cannot be written: ", "name another folder"),
        ("file/below", "cannot be written: ", "name another folder"),
    ):
        result = export(tmp_path / place)
        assert isinstance(result.exception, UsageError)  # console.run: exit 2
        (line,) = str(result.exception).splitlines()
        assert line.startswith(f"{tmp_path / place}: {error}")
        assert remedy in line
    assert [path.read_text() for path in tmp_path.iterdir()] == ["in the way"]


# -- what it may use --------------------------------------------------------------------------------------------------


def test_only_what_asterisk_20_has_is_used(code):
    nested = set(re.findall(r"\?([A-Z]\w+)\(", code)) - FUNCTIONS_OF_20  # IF() may name a function
    assert {action.partition("(")[0] for action in code.splitlines()} | nested <= APPLICATIONS_OF_20
    assert set(re.findall(r"\$\{([A-Z_]+)\(", code)) | set(re.findall(r"Set\(([A-Z_]+)\(", code)) <= FUNCTIONS_OF_20


def test_every_time_is_taken_in_the_zone_of_the_process(code):
    assert len(re.findall(r'STRFTIME\(,"\$\{ENV\(TZ\)\}",%s', code)) == code.count("STRFTIME(") > 0


def test_every_bracket_is_closed(actions):
    for extension in actions.values():
        for action in extension:
            bare = re.sub(r"\"\^?[^\"]*\"|\\[()]", '""', action)
            for opened, closed in ("()", "[]", "{}"):
                assert bare.count(opened) == bare.count(closed), action


def test_the_target_of_every_goto_and_gosub_exists(text, actions, code):
    labels = set(re.findall(r"same = n\(([\w-]+)\)", text))
    extensions = {name.partition("/")[2] for name in actions}
    targets = re.findall(r"^GotoIf\(.*\?(.*)\)$|^Goto\((.*)\)$|^Gosub\((\w+,1)\)$", code, re.MULTILINE)
    assert len(targets) > 20
    for target in ":".join(map("".join, targets)).replace("${IF($[", ":").split(":"):
        *before, last = target.rstrip("})").split(",")
        if not last or "(" in target or "$" in last or '"' in target:
            continue  # evaluated at run time: the tests on a real Asterisk cover its target
        if before and before[-1] in ("s", "h", "DIAL-${DIALSTATUS}"):
            before[-1:] = [name for name in extensions if re.fullmatch(before[-1].partition("$")[0] + ".*", name)][:1]
        assert (last == "1" and before[-1] in extensions) or last in labels, target
    contexts = {name.partition("/")[0] for name in actions}
    called = set(re.findall(r"(?:Gosub\(|\?|U\(|b\(|Local/s@)(idtone-[a-z-]+)", code))
    called |= set(re.findall(r"hangup_handler_push\)=(idtone-[a-z-]+),s,1", code))
    operators, with_trunks = {dialplan.FORWARD_CONTEXT, dialplan.CALLED_CONTEXT}, {"idtone-leg"}
    assert called == contexts - operators - with_trunks


def test_every_variable_is_set_somewhere(code, text):
    read = set(re.findall(r"\$\{([A-Za-z_]\w*)(?::\d+(?::\d+)?)?\}", code))
    written = (
        set(re.findall(r"[(,](?:LOCAL\(|GLOBAL\(|_{0,2})?([A-Za-z]\w*)\)?=", code))
        | {dialplan.VERDICT_VARIABLE}
        | set(re.findall(r"^(IDTONE_\w+)=", text, re.MULTILINE))
    )
    assert {name for name in read if not re.fullmatch(r"ARG\d", name)} - written <= VARIABLES_OF_ASTERISK


# -- the words that it shares with the service ------------------------------------------------------------------------


def test_the_contexts_and_extensions_that_the_service_names(actions):
    assert f"{dialplan.FORWARD_CONTEXT}/s" in actions
    first = actions[f"{dialplan.FORWARD_CONTEXT}/_v:."][dialplan.FORWARD_PRIORITY - 1]
    assert re.match(r"MSet\(IDTONE_VERDICT=\$\{FILTER\([^,]+,\$\{EXTEN:2\}\)\},", first)
    # Inside the Gosub() of Dial(), Asterisk continues one priority before.
    called = actions[f"{dialplan.CALLED_CONTEXT}/_v:."]
    assert called[dialplan.CALLED_PRIORITY - 2 :][:2] == ["NoOp()", "Set(IDTONE_VERDICT=${EXTEN:2})"]
    assert {verdict.partition(":")[0] for verdict in (dialplan.NO_VERDICT, VERDICT.extension)} == {"v"}


VERDICT = dialplan.Verdict(
    "123456789012", "OUTCOME", "reason", 21, True, {dialplan.CALLED: "to-called", dialplan.CALLER: "to-caller"}, 22
)


def test_a_verdict_without_sounds():
    verdict = dialplan.Verdict("123456789012", "REFUSE", "number-suspended", 21, True)
    assert verdict.text == "123456789012:REFUSE:number-suspended:21::::"
    assert dialplan.Verdict("1", "PLAY", "x", None, True, {dialplan.CALLED: "f"}, 5).text == "1:PLAY:x:::f::5"
    assert dialplan.Verdict("1", "PLAY", "x", None, True, {dialplan.CALLER: "f"}, 5).text == "1:PLAY:x::a::f:"


def test_the_hook_uses_the_journals_words_for_how_a_sound_was_played(code):
    named = re.findall(r"sounded,\$\{ARG1\},\$\{ARG2\},[^,]*(?:,UTC,%s\.%6q\)\})?,(\w+),", code)
    named += re.findall(r"Gosub\(idtone-sound,s,1\((\w+),", code)
    named += re.findall(r"Gosub\(idtone-play,s,1\((\w+),", code)
    assert set(map(Played, named)) == set(Played)


def exported_with(tmp_path: Path, settings: str) -> str:
    path = tmp_path / "idtone.yaml"
    path.write_text(settings)
    assert export(tmp_path, "-c", str(path)).exit_code == 0
    return (tmp_path / "idtone.conf").read_text("utf-8")


def value(text: str, name: str) -> str:
    (found,) = re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)
    return str(found)


def test_a_program_gets_no_numbers_on_its_command_line(tmp_path):
    text = exported_with(tmp_path, "interface: agi\nagi: {listen: unix:/run/idtone/agi.sock}\n")
    assert value(text, "IDTONE_AGI") == f"{Path(sys.executable).with_name('idtone-agi')},unix:/run/idtone/agi.sock,"
    asked = re.findall(r"AGI\(\$\{IDTONE_AGI\}(.*?)\)$", text, re.MULTILINE)
    assert asked == [f"decide,${{IDTONE_AGI_SECRET}},{kind},variable:IDTONE_ASKED" for kind in ("decide", "own")]
    assert not value(text, "IDTONE_AGI_SECRET"), "the socket's peer is checked"


def test_only_agi_over_tcp_uses_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("IDTONE_ARI_PASSWORD", "a password")
    text = exported_with(tmp_path, "interface: agi\n")
    secret = value(text, "IDTONE_AGI_SECRET")
    assert re.fullmatch("[0-9a-f]{32}", secret)
    assert text.count(secret) == 1
    assert "a password" not in text
    assert not value(exported_with(tmp_path, "interface: ari\n"), "IDTONE_AGI_SECRET")
    monkeypatch.setenv("IDTONE_ARI_PASSWORD", "another one")
    assert value(exported_with(tmp_path, "interface: agi\n"), "IDTONE_AGI_SECRET") not in ("", secret)


def test_the_settings_are_in_the_text_and_its_digest_is_that_of_the_text(tmp_path, text):
    settings = "sounds: {directory: /srv/音/idtone}\njournal: {directory: /run/idtone/journal}\npolicy: {waiting: 7}\n"
    other = exported_with(tmp_path, settings)
    assert value(other, "IDTONE_SOUNDS") == "/srv/音/idtone"
    assert value(other, "IDTONE_JOURNAL") == f"/run/idtone/journal/{dialplan.JOURNAL_FILE}"
    assert value(other, "IDTONE_WAITING") == "7"
    alone = ("IDTONE_FALLBACK", "IDTONE_REFUSE_CAUSE", "IDTONE_INCOMING", "IDTONE_OUTGOING", "IDTONE_ANSWER_FIRST")
    assert [value(other, name) for name in alone] == ["notice", str(CALL_REJECTED), "called", "called", "no"]
    changed = (
        "policy: {fallback: refuse, refuse_cause: 38, notify: {incoming: both, outgoing: caller},"
        " caller_hears: answered}\n"
    )
    assert [value(exported_with(tmp_path, changed), name) for name in alone] == [
        "refuse",
        "38",
        "both",
        "caller",
        "yes",
    ]
    digest = value(text, dialplan.HOOK_GLOBAL)
    assert re.fullmatch("[0-9a-f]{16}", digest)
    assert value(other, dialplan.HOOK_GLOBAL) != digest


def test_the_fallback_file(code):
    read_by_hook = re.findall(
        rf"AST_CONFIG\(\$\{{IDTONE_SOUNDS\}}/{dialplan.FALLBACK_FILE},([\w${{}}]+),([^)\n]*)\)\}}(\" !?= \"\w+)?", code
    )
    complete = (dialplan.FALLBACK_END, dialplan.FALLBACK_COMPLETE, '" != "yes')
    never = f"{dialplan.FALLBACK_NEVER}${{fixed:-{dialplan.FALLBACK_NEVER_DIGITS}}}"
    assert f'${{file}},${{IF($["${{section}}" = "never"]?{never}:${{section}}${{group}})}},${{pattern}})' in code
    assert f"{dialplan.FALLBACK_FILE},{dialplan.FALLBACK_LIST},entries)" in code
    by_line = (dialplan.FALLBACK_END, dialplan.FALLBACK_LINES, '" = "yes')
    assert read_by_hook == [(dialplan.FALLBACK_OWN, dialplan.FALLBACK_ALL, ""), complete, by_line, complete]
    for name in (dialplan.FALLBACK_FILE, dialplan.LINES_FILE):
        assert f"Gosub(idtone-current,s,1({name}))" in code
    assert f"${{ARG1}},{dialplan.FALLBACK_END},{dialplan.FALLBACK_COMPLETE})" in code
    assert f"${{ARG1}},{dialplan.FALLBACK_END},{dialplan.FALLBACK_DIGEST})" in code
    sections = [dialplan.FALLBACK_SUSPENDED, "never", dialplan.FALLBACK_OWN, dialplan.LINES_GROUP]
    assert re.findall(r"LOCAL\(section\)=(?:\$\{IF\(.*\?never:)?(\w+)", code) == sections
    text = render([], None)
    assert re.findall(r"^\[(\w+)\]$", text, re.M) == [
        dialplan.FALLBACK_SUSPENDED,
        dialplan.FALLBACK_OWN,
        dialplan.FALLBACK_END,
    ]
    assert text.endswith(f"\n{dialplan.FALLBACK_COMPLETE} = yes\n"), "its last line"
    entries, _, end = text.partition(f"[{dialplan.FALLBACK_END}]\n")
    (at,) = re.findall(r"FILE\(\$\{IDTONE_SOUNDS\}/\$\{ARG1\},(-\d+),64\)", code)
    assert end[int(at) :][:64] == hashlib.sha256(entries.encode()).hexdigest()
    assert [Unlicensed(word) for word in re.findall(r'IDTONE_FALLBACK\}" != "(\w+)"', code)] == [Unlicensed.NOTICE]
    assert f"LOCAL(digits)={'x' * OPEN_DIGITS}," in code
    assert f"$[${{open}} <= {OPEN_DIGITS}]?look)" in code


def test_every_status_is_known_to_the_ledger(text, code):
    named = re.findall(r"IDTONE_STATUS=([A-Z]+)", code)
    (over,) = set(re.findall(r"IDTONE_STATUS=\$\{IF\((\$\[\"\$\{ARG2.*)\}\)$", code, re.MULTILINE))
    named += re.findall(r"[?:]([A-Z]+)\b", over)
    assert set(named) == set(CallStatus)
    (documented,) = re.findall(r"IDTONE_STATUS +((?:[A-Z]+ \| )+[A-Z]+)", text)
    assert documented.split(" | ") == list(CallStatus)


def test_every_reason_is_a_reason_code(code):
    named = re.findall(r"IDTONE_REASON=([a-z-]+)", code) + re.findall(r"Return\(([a-z-]+):", code)
    assert set(named) == {
        "call-id-unreadable", "emergency", "line-unknown", "lines-missing", "number-malformed",
        "number-never-originates", "number-of-another-customer", "number-suspended",
        "number-unknown", "overload", "presented-number-differs", "service-unavailable", "suspensions-unknown",
    }  # fmt: skip
    assert set(named) <= set(Reason)


def test_every_variable_that_the_hook_returns_is_documented(text, code):
    documented = set(re.findall(r"^; .*?\b(IDTONE_[A-Z_]+)  ", text, re.MULTILINE))
    assert documented == {"IDTONE_STATUS", "IDTONE_REASON", "IDTONE_CALL_ID", "IDTONE_CAUSE"}
    assert documented <= set(re.findall(r"[(,](IDTONE_\w+)=", code))


# -- numbers and emergency calls --------------------------------------------------------------------------------------

PIECES = (
    "110", "119", "1", "0", "81", "+", "00", "010", "184", "tel:", "sip:", "SIPS:", " ", "-", "(", ")", ".", "@x",
    ";a=b", "\t", "\n", "＠", "；", "\u3000", "ー", "ｰ", "\u00a0", "x", "１", "０", "ｔｅｌ：", "＋",
    "*", "#", ":", "/", "<", ">", "&", ",", "\u200b", "\u202e", "\ufeff", "03", "12345678", "312345678",
    "9012345678", "٣",
)  # fmt: skip
TRUNKS = ("trunk", "g0", "from.pstn")


@dataclass(frozen=True)
class Patterns:
    """The hook's regular expressions and replacements, in Python's syntax."""

    text: str

    def matches(self, marker: str, text: str) -> bool:
        """True if the text matches the pattern in the first line that contains the marker."""
        (pattern,) = re.findall(rf'^.*REGEX\("([^"]*)" {marker}', self.text, re.MULTILINE)[:1]
        names = value(self.text, "IDTONE_EMERGENCY_TRUNKS")
        pattern = pattern.replace("\\;", ";").replace("[:space:]", r"\t\n\v\f\r ")
        return bool(re.search(pattern.replace("${IDTONE_EMERGENCY_TRUNKS}", names), text, re.DOTALL))

    def narrow(self, text: str) -> str:
        for wide, form in re.findall(r"STRREPLACE\(IDTONE_TEXT,\$\{URIDECODE\(([^)]*)\)\},(.*?)\)\}\)", self.text):
            text = text.replace(unquote(wide), form.removeprefix("\\"))
        return text

    def is_emergency_call(self, dial_string: str, called: str, own_dial: bool) -> bool:
        if not self.matches(re.escape("${ARG1}&/${ARG5})"), f"{dial_string}&/{called}"):
            return False
        dial_string, called = self.narrow(dial_string), self.narrow(called)
        if self.matches(re.escape("${IDTONE_TEXT})}?yes"), dial_string):
            return True
        if not self.matches(re.escape("${IDTONE_TEXT})}?:no"), dial_string):
            return False
        other = self.matches(re.escape("${IDTONE_TEXT})})"), dial_string)
        forgeable = own_dial or self.matches(re.escape("${IDTONE_TEXT})} = 0"), called)
        return self.matches(re.escape("${IDTONE_TEXT})} & ("), called) and not (other and forgeable)


def patterns_of(*trunks: str) -> Patterns:
    asking = dialplan.RequestParameters("ari", "", "", 1, "shed", emergency_trunks=trunks)
    alone = dialplan.FallbackParameters("notice", CALL_REJECTED, "called", "called", answer_first=False)
    return Patterns(dialplan.hook(Path("/sounds"), Path("/journal"), dialplan.Notice("", 1), asking, alone).text)


HOOKS = {trunks: patterns_of(*trunks) for trunks in ((), TRUNKS, ("default",))}
ANY = HOOKS[()]


def is_emergency(text: str) -> bool:
    return parse(text).kind is NumberKind.EMERGENCY


@given(st.lists(st.sampled_from(PIECES), max_size=7).map("".join))
def test_the_hook_and_the_service_read_the_same_numbers(text):
    number, narrow = parse(text), ANY.narrow(text)
    called = ANY.matches(re.escape("${ARG1}&/${ARG5})"), f"/{text}") and ANY.matches(
        re.escape("${IDTONE_TEXT})} & ("), narrow
    )
    assert called is (number.kind is NumberKind.EMERGENCY)
    digits = re.sub("[^0-9+]", "", re.split("[@;]", narrow)[0])
    written = ANY.matches(re.escape("${IDTONE_TEXT})}?:unreadable"), narrow)
    japanese = written and ANY.matches(re.escape("${number})}?japanese"), digits)
    abroad = written and ANY.matches(re.escape("${number})}?abroad"), digits)
    assert (japanese or abroad) is (number.known and number.kind is not NumberKind.EMERGENCY)
    if japanese:
        long = re.search("[25-9]0[0-9]{8}$", digits)
        assert number.e164 == f"+81{digits[-10 if long else -9 :]}"


DIALLED = st.lists(
    st.sampled_from(
        (
            *("PJSIP/", "pjsip/", "SIP/", "Local/", "DAHDI/", "IAX2/", "Lx/", "a b/", "/", "@", "&", "trunk", "g0",
            "from.pstn"),
            *("fromxpstn", "default", "110", "119", "184110", "0312345678", "sip:", "<", ">", ";x=y", "/n", "x", ",",
            "１１０", "\u200b"),
        )
    ),
    max_size=9,
).map("".join)  # fmt: skip
WHOLE = st.lists(
    st.sampled_from(
        (
            "PJSIP/110@trunk", "PJSIP/trunk/sip:119@192.0.2.1", "DAHDI/g0/118", "IAX2/me@trunk/110",
            "Local/110@from.pstn/n",
            "Local/110/n", "PJSIP/119", "PJSIP/0312345678@trunk", "PJSIP/0312345678@trunk/sip:110@x", "PJSIP/110@other",
            "Local/nobody@trunk", "SIP/trunk/110;x=y", "PJSIP/184110;a=b@trunk", "PJSIP/trunk110/0312345678",
        )
    ),
    min_size=1, max_size=2,
).map("&".join)  # fmt: skip
CALLED = st.sampled_from(("", "110", "1-1-9", "１１０", "110;x=0312340000", "sip:110@x", "110&x", "0312345678", "110x"))


@pytest.mark.parametrize("trunks", HOOKS, ids=str)
@given(DIALLED | WHOLE, CALLED, st.booleans())
def test_the_hook_and_the_service_recognise_the_same_emergency_calls(trunks, dial_string, called, own_dial):
    by_service = is_emergency_call(ascii_form(dial_string), ascii_form(called), trunks, is_emergency, own_dial)
    assert HOOKS[trunks].is_emergency_call(dial_string, called, own_dial) is by_service


EMERGENCY_CALLS = {
    # dial string, called number, own dial: by which trunks it is an emergency call
    ("PJSIP/110@trunk", "", False): {(), TRUNKS},
    ("PJSIP/trunk/sip:110@192.0.2.1:5060;user=phone", "", False): {(), TRUNKS},
    ("DAHDI/g0/1-1-9", "", False): {(), TRUNKS},
    ("IAX2/member@trunk/118", "", False): {(), TRUNKS},
    ("Local/110@from.pstn/n", "", False): {(), TRUNKS},
    ("Local/110/n", "", False): {(), ("default",)},
    ("PJSIP/110@other", "", False): {()},
    ("Local/110@fromxpstn", "", False): {()},
    ("PJSIP/110@trunk&PJSIP/119@trunk", "", False): {(), TRUNKS},
    ("PJSIP/110@trunk&PJSIP/119@other", "", False): {()},
    ("PJSIP/119", "", False): set(),
    ("PJSIP/119", "119", False): set(),
    ("PJSIP/101&PJSIP/119", "", False): set(),
    ("PJSIP/101@trunk&PJSIP/119@trunk", "119", False): set(),
    ("PJSIP/3012345678@trunk&Nix/110", "3012345678@trunk&Nix/110", False): set(),
    ("PJSIP/110@trunk&PJSIP/3012345678@trunk", "110@trunk&PJSIP/3012345678", False): set(),
    ("PJSIP/3012345678@trunk/sip:110@x", "", False): set(),
    ("PJSIP/110@trunk,60,G(x)", "110", False): set(),
    ("Local/nobody@trunk", "110", False): {(), TRUNKS},
    ("PJSIP/trunk/sip:gateway@192.0.2.1", "110", True): {(), TRUNKS},
    ("PJSIP/0312340000@trunk", "110", False): {(), TRUNKS},  # the number of the police station, as the PBX has it
    ("PJSIP/0312340000@trunk", "１１０;x=0312340000", False): set(),
    ("PJSIP/0312340000@trunk", "110", True): set(),
    ("PJSIP/110@trunk", "0312340000", True): {(), TRUNKS},
    ("", "110", False): set(),
}


def test_which_calls_are_emergency_calls():
    for (dial_string, called, own_dial), by in EMERGENCY_CALLS.items():
        for trunks, hook in HOOKS.items():
            assert hook.is_emergency_call(dial_string, called, own_dial) is (trunks in by), (dial_string, trunks)
            found = is_emergency_call(ascii_form(dial_string), ascii_form(called), trunks, is_emergency, own_dial)
            assert found is (trunks in by), (dial_string, trunks)


def test_the_grammar_is_that_of_the_numbers():
    assert (JAPANESE, ABROAD) == (numbers.JAPANESE, numbers.ABROAD)
    assert {ANY.narrow(mark) for mark in numbers.MARKS} == {""}


def test_the_words_for_a_withheld_number_and_the_digits_of_other_scripts_are_those_of_the_numbers():
    for word in ("", *WITHHELD, "Anonymous", "P", "sip:anonymous@anonymous.invalid", "<sip:unavailable>"):
        assert parse(word).kind is NumberKind.WITHHELD, word
        assert ANY.matches(re.escape("${IDTONE_TEXT})}?decided"), word), word
    for number in ("0312345678", "110", "x", "anonymous1", "pp"):
        assert not ANY.matches(re.escape("${IDTONE_TEXT})}?decided"), number), number
    digits = re.compile(expressions.other_digits_pattern())
    assert not [code for code in range(expressions._SCRIPTS_END, sys.maxunicode + 1) if chr(code).isdigit()]
    for character in map(chr, range(0x80, 0x30000)):
        if character.isdecimal() and not 0xD800 <= ord(character) < 0xE000:
            assert digits.search(quote(character)), character
    for name in ("佐藤 太郎", "三浦 五郎", "Zürich", "ＮＴＴ", "ー・々〆"):
        assert not digits.search(quote(name)), name
    assert digits.search(quote("一一〇"))
