"""Places in the dialplan where the hook cannot work."""

from pathlib import Path

import pytest

from idtone.operations.doctor import unsupported_hook_uses
from idtone.operations.doctor.asterisk_config_files import Line
from idtone.operations.doctor.findings import State
from idtone.operations.doctor.unsupported_hook_uses import MOST_NAMED, behind_local, uses

ETC = Path("/etc/asterisk")
MINE = "[mine]\nexten = s,1,Gosub(idtone-called,s,1(${ARG1}))\n same = n,Return()\n"


def lines(name: str, text: str) -> list[Line]:
    return [Line(ETC / name, number, line) for number, line in enumerate(text.splitlines(), 1)]


def found(extensions: str = "", queues: str = "", followme: str = "") -> list[str]:
    return [
        str(use)
        for use in uses(
            lines("extensions.conf", extensions), lines("queues.conf", queues), lines("followme.conf", followme)
        )
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("exten = 1,1,Queue(support,t,,,30,,idtone-called^0312345678)", "Queue()"),
        ("exten => 1,1,Queue(support,,,,,,,idtone-called,s,1(0312345678))", "Queue()"),
        ("exten = 1,1,ExecIf($[1]?queue(support,,,,,,idtone-called))", "Queue()"),
        (f"{MINE}exten = 1,1,Queue(support,,,,,,mine^0312345678)", "Queue()"),
        ("exten = 1,1,FollowMe(me,U(idtone-called^0312345678))", "FollowMe()"),
        ("exten = 1,1,Dial(PJSIP/1,,U(idtone-called^0312345678)U(mine))", "another U() after it"),
        ("exten = 1,1,Dial(PJSIP/1,60,gTU(idtone-called^1)wA(x)U(mine^2))", "another U() after it"),
        (f"{MINE}exten = 1,1,Dial(PJSIP/1,,U(mine^1)U(other^2))", "another U() after it"),
        ("exten = 1,1,Set(OPTIONS=gU(idtone-called^1)U(mine))", "another U() after it"),
        ("[globals]\nOPTIONS=gU(idtone-called^1)U(mine)", "another U() after it"),
        # FreePBX: a hook sets the options, and the generated Dial() adds a U() to them. Wazo adds it to the variable.
        (
            "exten = s,1,Set(DIAL_TRUNK_OPTIONS=TU(idtone-called^0312345678))\n"
            "exten = s,1,Dial(PJSIP/1,30,${DIAL_TRUNK_OPTIONS}b(func-apply-sipheaders^s^1)U(sub-send-obroute-email^1))",
            "another U() after ${DIAL_TRUNK_OPTIONS}",
        ),
        (
            f"{MINE}exten = s,1,Set(__WAZO_CALLOPTIONS=${{WAZO_CALLOPTIONS}}U(mine^1))\n"
            "exten = s,1,Set(WAZO_CALLOPTIONS=${WAZO_CALLOPTIONS}U(wazo-record-answered^s^1))",
            "another U() after ${WAZO_CALLOPTIONS}",
        ),
        ("[globals]\nOPTIONS=U(idtone-called^1)\n[a]\nexten = 1,1,Dial(PJSIP/1,,${OPTIONS}U(mine))", "another U()"),
    ],
)
def test_a_place_in_the_dialplan_where_asterisk_ignores_the_result(text, what):
    (use,) = found(text)
    assert use.startswith(f"/etc/asterisk/extensions.conf, line {len(text.splitlines())}: ")
    assert what in use
    assert "03" not in use, "a finding shows no number of the file"


@pytest.mark.parametrize(
    "text",
    [
        "", "exten = 1,1,Dial(PJSIP/1,,gU(idtone-called^0312345678^outgoing))",
        "exten = 1,1,Dial(PJSIP/1,,gU(mine)U(idtone-called^0312345678))",
        "exten = 1,1,Dial(PJSIP/1,,U(idtone-called^${CALLERID(num)}))",
        "exten = 1,1,ExecIf($[1]?Dial(PJSIP/1,,U(idtone-called^1)):Dial(PJSIP/2,,U(mine)))",
        "exten = 1,1,Dial(PJSIP/1,,U(idtone-called^1)r(${MENU(mine)}))",
        f"{MINE}exten = 1,1,Dial(PJSIP/1,,U(mine^1))", "exten = 1,1,Queue(support,t,,,30,,mine)",
        "exten = 1,1,Queue(mine,t)\n" + MINE, ";exten = 1,1,Queue(support,,,,,,idtone-called)",
        "exten = 1,1,Queue(support) ; not with idtone-called",
        ";--\nexten = 1,1,Queue(support,,,,,,idtone-called)\n--;", "exten = 1,1,NoOp(Queue(, idtone-called",
        "exten = 1,1,NoOp())))U(idtone-called",
        "exten = 1,1,Set(OPTIONS=U(idtone-called^1))\nexten = 1,2,Dial(PJSIP/1,,g${OPTIONS}A(x))",
        "exten = 1,1,Set(OPTIONS=U(idtone-called^1))\nexten = 1,2,Dial(PJSIP/1,,U(mine)${OPTIONS})",
        "exten = 1,1,Set(OPTIONS=${OPTIONS}U(idtone-called^1))\nexten = 1,2,Dial(PJSIP/1,,${OTHER}U(mine))",
    ],
)  # fmt: skip
def test_correct_uses(text):
    assert found(text) == []


def test_comments_other_files_and_the_hooks_own_file():
    assert found(";-- one\ntwo --; exten = 1,1,Queue(support,,,,,,idtone-called)\n") == [
        "/etc/asterisk/extensions.conf, line 2: the Gosub() of Queue()"
    ]
    assert found(followme="[me]\ncontext => idtone-called\n") == ["/etc/asterisk/followme.conf, line 2: FollowMe()"]
    assert found(followme="[me]\ncontext => idtone-members ; not idtone-called\n") == []
    assert uses([Line(ETC / "idtone.conf", 1, "exten = 1,1,Queue(support,,,,,,idtone-called)")], [], []) == []


def test_the_gosub_of_a_queues_members():
    for text, line in (
        ("[support]\nmembergosub = idtone-called", 2),
        ("[support]\nmembergosub=>idtone-called,s,1(0312345678)", 2),
        ("[support]\nMemberGosub = mine^1\nmember => PJSIP/1", 2),
        ("[support]\nmembergosub = other", 0),
        ("[support]\n;membergosub = idtone-called", 0),
        ("[support]\nmember => Local/1@idtone-members/n", 0),
    ):
        expected = [f"/etc/asterisk/queues.conf, line {line}: membergosub of a queue"] if line else []
        assert found(MINE, queues=text) == expected, text


def test_the_finding():
    use = uses(lines("extensions.conf", "exten = 1,1,Queue(a,,,,,,idtone-called)\n" * (MOST_NAMED + 2)), [], [])
    finding = unsupported_hook_uses.judge(use, (), "", ETC)
    assert finding.state is State.BAD
    assert "line 1: the Gosub() of Queue(); " in finding.found
    assert finding.found.endswith("; and 2 more")
    assert "Local/NUMBER@idtone-members/n" in finding.remedy
    assert "Gosub(idtone-forward,s,1(" in finding.remedy
    assert unsupported_hook_uses.judge([], (), "", ETC).state is State.GOOD
    assert unsupported_hook_uses.judge(None, (), "Permission denied", ETC).state is State.UNKNOWN


MEMBERS = "[members]\nexten = _0X.,1,Gosub(idtone-forward,s,1(PJSIP/${EXTEN}@trunk,0312345678))\n"


@pytest.mark.parametrize(
    ("extensions", "queues", "followme", "place"),
    [
        ("[a]\nexten = 1,1,Dial(Local/0312345678@members/n,60)", "", "", "extensions.conf, line 4: @members"),
        ("[a]\nexten = s,1,Set(OUT_1_SUFFIX=@members/n)", "", "", "extensions.conf, line 4: @members"),
        ("", "[support]\nmember => Local/0312345678@members/n", "", "queues.conf, line 2: @members"),
        ("", "", "[me]\ncontext => members", "followme.conf, line 2: FollowMe()"),
        ("[a]\nexten = 1,1,Dial(PJSIP/0312345678@trunk)", "", "", ""),
        ("[a]\n;exten = 1,1,Dial(Local/0312345678@members/n)", "", "", ""),
        ("[a]\nexten = 1,1,Goto(members,0312345678,1)", "", "", ""),
    ],
)
def test_a_caller_behind_a_local_channel(extensions, queues, followme, place):
    found = behind_local(
        lines("extensions.conf", MEMBERS + extensions), lines("queues.conf", queues), lines("followme.conf", followme)
    )
    assert list(map(str, found)) == ([f"/etc/asterisk/{place}"] if place else [])


def test_the_finding_about_callers():
    places = behind_local(lines("extensions.conf", MEMBERS + "exten = 1,1,Dial(Local/1@members)"), [], [])
    finding = unsupported_hook_uses.judge([], places, "", ETC)
    assert finding.state is State.WARNING
    assert finding.found.endswith(": /etc/asterisk/extensions.conf, line 3: @members")
    assert "Set policy.notify to `called`" in finding.remedy
