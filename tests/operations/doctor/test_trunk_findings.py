"""The doctor's findings on the PJSIP endpoints, and on the operator's own Dial()."""

from pathlib import Path

import pytest

from idtone.operations.doctor.asterisk_config_files import Line
from idtone.operations.doctor.findings import State
from idtone.operations.doctor.trunk_findings import codecs, endpoints, presented_numbers

PJSIP, EXTENSIONS = Path("/etc/asterisk/pjsip.conf"), Path("/etc/asterisk/extensions.conf")
MODULES = {"codec_g722", "codec_gsm", "res_pjsip"}


def lines(text: str, path: Path = PJSIP) -> list[Line]:
    return [Line(path, number, line) for number, line in enumerate(text.splitlines(), 1)]


def endpoint(options: str, name: str = "trunk") -> str:
    return f"[{name}]\ntype=endpoint\n{options}\n[{name}]\ntype=aor\nallow=nothing\n"


CODECS = {
    "G.711": ("disallow=all\nallow=alaw,ulaw", ""),
    "with frames": ("allow=alaw:30", ""),
    "a transcoder": ("allow=g722", ""),
    "none": ("allow=ulaw\nallow=g729", "g729 of trunk"),
    "none, with frames": ("allow = g729:20 , ulaw", "g729 of trunk"),
    "taken away again": ("allow=g729\ndisallow=all\nallow=ulaw", ""),
    "a comment": ("allow=ulaw ;g729", ""),
    "two": ("allow=opus,g729", "g729 of trunk; opus of trunk"),
}


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_without_a_transcoder(name):
    options, named = CODECS[name]
    finding = codecs(endpoints(lines(endpoint(options))), MODULES, "", PJSIP)
    assert finding.state is (State.WARNING if named else State.GOOD)
    assert named in finding.found
    if "g729" in named:
        assert "codec_g729" in finding.remedy


def test_templates_and_additions():
    text = "[base](!)\ntype=endpoint\nallow=g729\n[a](base)\n[b](base)\ndisallow=all\nallow=ulaw\n[b](+)\nfrom_user=x\n"
    found = endpoints(lines(text))
    assert {name: options["allow"] for name, options in found.items()} == {"a": "g729", "b": "ulaw"}
    assert found["b"]["from_user"] == "x"


OWN = "same = n,Dial(PJSIP/1@trunk,,gU(idtone-called^0312345678^outgoing))"
SETS = "same = n,Set(CALLERID(num)=0312345678)"
DIALPLANS = {
    "the number is set": (f"[a]\nexten = _X.,1,NoOp()\n{SETS}\n{OWN}", 0),
    "all is set": (f"[a]\nexten = _X.,1,Set(CALLERID(all)=x <0312345678>)\n{OWN}", 0),
    "Dial() forces it": ("[a]\nexten = s,1,Dial(PJSIP/1@t,,gf(0312345678)U(idtone-called^0312345678^outgoing))", 0),
    "incoming": ("[a]\nexten = s,1,Dial(PJSIP/1@t,,gU(idtone-called^0312345678))", 0),
    "it is not set": (f"[a]\nexten = _X.,1,NoOp()\n{OWN}", 3),
    "it is set in another extension": (f"[a]\nexten = 1,1,NoOp()\n{SETS}\nexten = 2,1,NoOp()\n{OWN}", 5),
    "it is set later": (f"[a]\nexten = 1,1,NoOp()\n{OWN}\n{SETS}", 3),
    "in a comment": (f"[a]\nexten = 1,1,NoOp()\n;{SETS}\n{OWN}", 4),
}


@pytest.mark.parametrize("name", DIALPLANS)
def test_an_own_dial_must_set_the_number(name):
    text, number = DIALPLANS[name]
    finding = presented_numbers({}, lines(text, EXTENSIONS), "", PJSIP)
    assert finding.state is (State.WARNING if number else State.GOOD)
    assert f"line {number}" in finding.found or not number


def test_an_endpoint_that_replaces_the_number():
    found = endpoints(lines(endpoint("from_user=0335810110", "carrier") + endpoint("allow=ulaw", "phone")))
    finding = presented_numbers(found, [], "", PJSIP)
    assert finding.state is State.WARNING
    assert "carrier" in finding.found
    assert "phone" not in finding.found
    assert "0335810110" not in finding.found + finding.remedy


def test_a_file_that_is_not_there_or_cannot_be_read():
    for judge in (
        lambda trouble: codecs(None, (), trouble, PJSIP),
        lambda trouble: presented_numbers(None, (), trouble, PJSIP),
    ):
        assert judge("").state is State.GOOD
        assert judge("Permission denied").state is State.UNKNOWN
