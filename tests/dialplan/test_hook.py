"""The hook in a real Asterisk: that it loads, and that it and the service mean the same by the same words."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from idtone.calls import Outcome, Reason, Suspension
from idtone.decision import Policy, Unlicensed
from idtone.dialplan import CALLED_CONTEXT, FORWARD_CONTEXT, UNATTENDED_FILE, Heard, Verdict, channel_of, dialled_user
from idtone.numbers import NumberKind, parse
from idtone.switchboard.alone import leave, render
from idtone.switchboard.hook_log import HookLog

from ..lab.asterisk import Asterisk

SUSPENDED = parse("0312345677")
SINCE = datetime(2026, 3, 1, tzinfo=UTC)

FORMS = [
    "0312345677",
    "03-1234-5677",
    "03 1234 5677",
    "03.1234.5677",
    "(03)1234-5677",
    "312345677",
    "81312345677",
    "81-03-1234-5677",
    "+81312345677",
    "+81 3 1234 5677",
    "+81-(0)3-1234-5677",
    "01081312345677",
    "010-81-3-1234-5677",
    "010-81-03-1234-5677",
    "1840312345677",
    "186-03-1234-5677",
    "sip:0312345677@10.0.0.1",
    "sip:+81312345677@192.0.2.1:5060;user=phone",
    "sip:0312345677;phone-context=+81@10.0.0.1",
    "tel:+81-3-1234-5677",
    "tel:03-1234-5677;phone-context=+81",
    "tel: (03 1234 5677",
    # Another number, or none.
    "0312345678",
    "03-1234-567",
    "031234567",
    "03123456770",
    "+8131234567",
    "8131234567",
    "0081312345677",
    "011-81-3-1234-5677",
    "+18403123456",
    "010-1-840-312-3456",
    "31234567",
    "0312345678@0312345677",
    "",
    "anonymous",
]
"""Read alike by the hook and by the service."""

REFUSED_MORE = ["0312345677x", "+0312345677", "<sip:0312345677@10.0.0.1>", "184+81312345677"]
"""The service takes these for malformed; the hook, which reads digits alone, finds the suspended number in them."""

KNOWN_LESS = ["０３１２３４５６７７"]
"""The service reads these; the hook cannot, and takes them for a number that nobody suspended."""

DIAL_STRINGS = [
    ("PJSIP/0312345678@trunk", "0312345678"),
    ("PJSIP/trunk/sip:0312345678@192.0.2.1", "0312345678"),
    ("PJSIP/trunk/sips:0312345678@192.0.2.1:5061", "0312345678"),
    ("PJSIP/trunk/sip:0312345678@192.0.2.1;lab=7", "0312345678"),
    ("PJSIP/trunk/sip:192.0.2.1", "192.0.2.1"),
    ("SIP/trunk/0312345678", "0312345678"),
    ("Local/110@ctx/n", "110"),
    ("local/0312345678@ctx/nj", "0312345678"),
    ("IAX2/member@carrier/110", "110"),
    ("PJSIP/119@trunk", "119"),
    ("PJSIP/trunk/sip:118@192.0.2.1", "118"),
    ("SIP/trunk/184110", "184110"),
    ("PJSIP/186119@trunk", "186119"),
    ("PJSIP/1100@trunk", "1100"),
    ("PJSIP/0110@trunk", "0110"),
    ("PJSIP/trunk110/0312345678", "0312345678"),
    ("PJSIP/0312345678@trunk&PJSIP/0612345678@trunk", "0312345678"),
    ("PJSIP/101&PJSIP/102", "101"),
    ("nonsense", ""),
    ("/", ""),
    ("", ""),
]
"""Dial string → the user that is dialled; of a ring group, the first."""

NONCE = "999999999999999999"
VERDICTS = [
    Verdict(NONCE, outcome, reason, cause, guard_s, parties, answer_first).extension
    for outcome, reason, cause, (guard_s, parties), answer_first in itertools.product(
        Outcome, Reason, (None, 127), ((2, ()), (12, ("called", "caller")), (12, ("caller",))), (True, False)
    )
]
EXTENSION_LIMIT = 79
"""Characters: AST_MAX_EXTENSION less its final zero."""


def steps(context: str, actions: Sequence[str]) -> str:
    """A context whose extension `go` does one after the other, then writes that it is through."""
    lines = [f"[{context}]", "exten = go,1,NoOp()", *(f" same = n,{action}" for action in actions)]
    return "\n".join([*lines, f" same = n,Set(DB({context}/through)=yes)", ""])


def written(form: str) -> str:
    return form.replace(";", "\\;")


def hook_calls(context: str, calls: Sequence[tuple[str, str]]) -> str:
    """Forward each (dial string, forwarding number), and keep what the hook returns."""
    actions = []
    for index, (dial_string, number) in enumerate(calls):
        actions.append(f"Gosub(idtone-forward,s,1({written(dial_string)},{written(number)}))")
        actions.append(f"Set(DB({context}/{index})=${{IDTONE_STATUS}} ${{IDTONE_REASON}})")
    return steps(context, actions)


NOWHERE = "Local/nobody@nowhere"
EXTENSIONS = "\n".join(
    [
        "#include idtone.conf",
        hook_calls("forms", [(NOWHERE, form) for form in (*FORMS, *REFUSED_MORE, *KNOWN_LESS)]),
        steps(
            "emergency",
            [
                "Set(DB(emergency/0)=${STAT(s,${IDTONE_UNATTENDED})})",
                f"Gosub(idtone-forward,s,1(Local/110@nowhere,{SUSPENDED.e164}))",
                "Set(DB(emergency/1)=${IDTONE_REASON} ${IDTONE_STATUS})",
                "Set(DB(emergency/2)=${STAT(s,${IDTONE_UNATTENDED})})",
                f"Gosub(idtone-forward,s,1(Local/118@nowhere,{SUSPENDED.e164}))",
                "Set(DB(emergency/3)=${STAT(s,${IDTONE_UNATTENDED})})",
            ],
        ),
        steps(
            "overload",
            [
                "Set(waiting=${GLOBAL(IDTONE_WAITING)})",
                "MSet(GLOBAL(IDTONE_WAITING)=0,GLOBAL(IDTONE_OVERLOAD)=shed,GLOBAL(IDTONE_MOVED)=${STRFTIME(,UTC,%s%1q)})",
                f"Gosub(idtone-forward,s,1({NOWHERE},0312345678))",
                "Set(DB(overload/0)=${IDTONE_STATUS} ${IDTONE_REASON} ${IDTONE_OPEN})",
                "Set(IDTONE_OPEN=yes)",
                f"Gosub(idtone-forward,s,1({NOWHERE},0312345678))",
                "Set(DB(overload/1)=${IDTONE_STATUS} ${IDTONE_REASON} ${IDTONE_OPEN})",
                "Set(GLOBAL(IDTONE_WAITING)=${waiting})",
            ],
        ),
        hook_calls("dialled", [(dial_string or NOWHERE, "") for dial_string, _ in DIAL_STRINGS]),
        steps(
            "verdicts",
            [
                f"Set(DB(verdicts/{index})=${{DIALPLAN_EXISTS({FORWARD_CONTEXT},{extension},2)}})"
                for index, extension in enumerate(VERDICTS)
            ],
        ),
    ]
)


@dataclass
class Hooked:
    """An Asterisk with the hook, a list of suspensions, and no service."""

    asterisk: Asterisk
    complaints: list[str]

    def results(self, context: str) -> list[str]:
        """What the context's steps wrote, in order."""
        self.asterisk.command(f"channel originate Local/go@{context} application Wait 1")
        deadline_s = time.monotonic() + 20
        while True:
            found = {
                key.strip().rpartition("/")[2]: value.strip()
                for key, separator, value in (
                    line.partition(":") for line in self.asterisk.command(f"database show {context}").splitlines()
                )
                if separator
            }
            if found.pop("through", None):
                return [found[str(index)] for index in range(len(found))]
            assert time.monotonic() < deadline_s, f"{context} is not through: {found}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def hooked(installation, tmp_path_factory) -> Iterator[Hooked]:
    with Asterisk(installation, tmp_path_factory.mktemp("hooked"), {"extensions.conf": EXTENSIONS}) as asterisk:
        complaints = asterisk.complaints()
        suspension = Suspension(SUSPENDED, SINCE, "R-1")
        HookLog(asterisk.sounds).make()
        leave(asterisk.sounds, render([suspension], Policy(), Unlicensed.NOTICE))
        yield Hooked(asterisk, complaints)


def test_the_hook_loads_without_a_complaint(hooked):
    assert hooked.asterisk.log(), "there is a log to look at"
    assert not [line for line in hooked.complaints if "pbx" in line or ".conf" in line or "idtone" in line]
    shown = hooked.asterisk.command(f"dialplan show {FORWARD_CONTEXT}")
    for extension in ("s", "_v:.", "DIAL-ANSWER", "DIAL-BUSY", "DIAL-NOANSWER", "h", "i", "T"):
        assert f"'{extension}' =>" in shown
    assert f"Context '{CALLED_CONTEXT}'" in hooked.asterisk.command(f"dialplan show {CALLED_CONTEXT}")


@pytest.fixture(scope="module")
def forms(hooked) -> dict[str, str]:
    return dict(zip((*FORMS, *REFUSED_MORE, *KNOWN_LESS), hooked.results("forms"), strict=True))


REFUSED = "REFUSED number-suspended"
NOT_REFUSED = "UNAVAILABLE service-unavailable"


@pytest.mark.parametrize("form", FORMS)
def test_a_number_means_the_same_to_the_hook_and_to_the_service(forms, form):
    assert forms[form] == (REFUSED if parse(form) == SUSPENDED else NOT_REFUSED)


@pytest.mark.parametrize("form", REFUSED_MORE)
def test_where_the_hook_reads_more_than_the_service_it_refuses(forms, form):
    assert parse(form).kind is NumberKind.MALFORMED
    assert forms[form] == REFUSED


@pytest.mark.parametrize("form", KNOWN_LESS)
def test_what_the_hook_cannot_read_is_no_number_to_it(forms, form):
    """Listed, so that it is known: no channel driver and no dialplan makes such a number."""
    assert parse(form) == SUSPENDED
    assert forms[form] == NOT_REFUSED


def test_no_form_of_a_number_is_an_error_to_asterisk(hooked, forms):
    assert set(forms.values()) == {REFUSED, NOT_REFUSED}
    assert not [
        line for line in hooked.asterisk.complaints() if "func_" in line or "pbx" in line or "app_stack" in line
    ]


def test_the_table_holds_both_sorts():
    assert len([form for form in FORMS if parse(form) == SUSPENDED]) >= 20
    assert len([form for form in FORMS if parse(form) != SUSPENDED]) >= 10


@pytest.mark.parametrize(("dial_string", "user"), DIAL_STRINGS)
def test_the_user_of_a_dial_string(dial_string, user):
    assert dialled_user(dial_string) == user


def test_an_emergency_means_the_same_to_the_hook_and_to_the_service(hooked):
    found = hooked.results("dialled")
    for (dial_string, user), result in zip(DIAL_STRINGS, found, strict=True):
        assert (result.partition(" ")[2] == "emergency") is (parse(user).kind is NumberKind.EMERGENCY), dial_string


def test_a_failed_emergency_leaves_its_line_when_the_channel_hangs_up(hooked):
    """The operator may have another way for it, which must not wait for a disk."""
    before, result, first, second = hooked.results("emergency")
    assert result == "emergency UNAVAILABLE"
    assert before == first == second
    log = hooked.asterisk.sounds / UNATTENDED_FILE

    def left() -> list[list[str]]:
        return [line.split(",") for line in log.read_text()[int(before) :].splitlines()]

    deadline_s = time.monotonic() + 5
    while len(left()) < 2 and time.monotonic() < deadline_s:
        time.sleep(0.05)
    found = sorted(left())
    assert [line[0].rpartition("-")[2] for line in found] == ["1", "2"]
    assert [line[5:9:2] + line[11:12] for line in found] == [
        [f"Local%2F{number}%40nowhere", "BYPASS", "UNAVAILABLE"] for number in ("110", "118")
    ]


def test_a_channel_that_has_another_end_to_tell_is_not_turned_away(hooked):
    assert hooked.results("overload") == ["REFUSED overload", f"{NOT_REFUSED} no"]


def test_every_verdict_is_an_extension_of_the_hook(hooked):
    assert max(map(len, VERDICTS)) <= EXTENSION_LIMIT
    assert len(set(VERDICTS)) == len(VERDICTS)
    assert hooked.results("verdicts") == ["1"] * len(VERDICTS)


def test_a_verdict_has_eight_fields_and_no_more():
    for extension in VERDICTS:
        assert len(extension.split(":")) == 8, extension
        assert extension.replace("-", "").replace(":", "").isalnum()


def test_the_channel_of_a_call():
    assert channel_of("1795564585.21-1") == "1795564585.21"
    assert channel_of("pbx-1-1795564585.21-12") == "pbx-1-1795564585.21"


@pytest.mark.parametrize("heard", Heard)
def test_every_ending_of_a_sound_is_an_extension_of_the_hook(hooked, heard):
    shown = hooked.asterisk.command(f"dialplan show {heard}@{CALLED_CONTEXT}")
    assert f"'{heard}' =>" in shown
    assert "2. " in shown
