"""Findings from observations of Asterisk."""

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from idtone.core.errors import AriRefused, AriUnavailable
from idtone.core.settings.settings import AriSettings
from idtone.operations.doctor import asterisk_findings
from idtone.operations.doctor.asterisk_findings import SAMPLES, AsteriskObservation, sections
from lab.operations.doctor.check_tables import BAD, GOOD, UNKNOWN, WARNING, check

SEEN = AsteriskObservation(
    version="22.10.1",
    nearby=True,
    modules=frozenset(),
    write_status=404,
    contexts=frozenset(),
    application=True,
    ahead_s=0.3,
    variables={},
)
LONG = "hgGb2LhE0yTz1Y0sUqk8"
FILE = AriSettings(password_file=Path("/etc/idtone/ari.password"))
TLS = AriSettings(url="https://127.0.0.1:8089/ari")
LOOPBACK, V6, ALL, LAN = map(ip_address, ("127.0.0.1", "::1", "0.0.0.0", "192.0.2.1"))
ACL = {"deny": "0.0.0.0/0"}
HERE, WITH_PASSWORD = AriSettings(url="http://127.0.0.1:8088"), AriSettings(url="http://me:sesame@127.0.0.1:8088/pbx")
CDR = {"func_cdr"}


def refused(status, ari=FILE):
    return AriRefused(status, "", "GET asterisk/info"), ari


def rights(status):
    return asterisk_findings.rights(replace(SEEN, write_status=status), FILE)


def origins(text):
    return asterisk_findings.origins(text, Path("/etc/asterisk/ari.conf"))


def cdr(running, text, trouble=""):
    return asterisk_findings.cdr(running, text, trouble, Path("/etc/asterisk/cdr.conf"))


def exposure(ari, nearby, listening, user):
    return asterisk_findings.exposure(ari, replace(SEEN, nearby=nearby), listening, user)


def live_dangerously(text):
    return asterisk_findings.live_dangerously(text, Path("/etc/asterisk/asterisk.conf"))


def clock(ahead_s):
    return asterisk_findings.clock(replace(SEEN, ahead_s=ahead_s))


TABLE = {
    asterisk_findings.unreachable: [
        ((AriUnavailable("Asterisk does not answer"), FILE), BAD, "Asterisk does not answer", "http.conf"),
        (refused(401), BAD, "401", "the password in /etc/idtone/ari.password"),
        (refused(403), BAD, "403", "`permit = `"),
        (refused(404), BAD, "404", "before /ari in ari.url, which is http://127.0.0.1:8088/ari"),
        (refused(503), BAD, "503", "core waitfullybooted"),
        (refused(404, HERE), BAD, "at http://127.0.0.1:8088", "`ari: {url: 'http://127.0.0.1:8088/ari'}`"),
        (
            refused(404, WITH_PASSWORD), BAD,
            "at http://127.0.0.1:8088/pbx", "`ari: {url: 'http://127.0.0.1:8088/pbx/ari'}`",
        ),
    ],
    asterisk_findings.reachable: [((SEEN, WITH_PASSWORD), GOOD, "http://127.0.0.1:8088/pbx")],
    rights: [
        ((404,), GOOD),
        ((204,), GOOD),
        ((403,), BAD, "", "[idtone]: `read_only = no`"),
        ((401,), BAD, "", "[idtone]: `read_only = no`"),
    ],
    origins: [
        (("[general]\nenabled = yes\n",), GOOD, "no web page"),
        (("",), GOOD, "no web page"),
        (("[general]\n;allowed_origins = *\n",), GOOD, "no web page"),
        (("[general]\nallowed_origins = https://pbx.example,https://other.example\n",), GOOD, "other.example"),
        (("[general]\nallowed_origins = https://pbx.example, *\n",), WARNING, "every web page"),
        (("[general]\nallowed_origins=*\n",), WARNING, "every web page"),
        (("#include more.conf\n[general]\nenabled = yes\n",), UNKNOWN, "other files"),
        ((None,), UNKNOWN, "cannot be read"),
    ],
    # modules, the text of cdr.conf, why it could not be read
    cdr: [
        ((CDR, ""), GOOD, "does not disable"),
        ((CDR, None), GOOD, "does not disable"),
        ((CDR, "[general]\nenable = yes\n"), GOOD, "does not disable"),
        ((CDR, "[general]\nenable=no\n"), WARNING, "enable = no"),
        ((CDR, "[csv]\nenable = no\n"), GOOD, "does not disable"),
        ((CDR, "#exec /bin/true\n"), UNKNOWN, "other files"),
        ((CDR, None, "Permission denied"), UNKNOWN, "Permission denied"),
        (({"func_cut"}, ""), WARNING, "func_cdr is not running"),
    ],
    # settings, whether Asterisk is on this machine, where it listens, the user in ari.conf
    exposure: [
        ((FILE, True, [LOOPBACK, V6], None), GOOD, "loopback"),
        ((FILE, True, [], None), GOOD, "no port"),
        ((FILE, True, [ALL], None), WARNING, "port 8088 is open on 0.0.0.0, without TLS"),
        ((FILE, True, [LOOPBACK, LAN], ACL), WARNING, "192.0.2.1, without TLS (the user has an ACL)"),
        ((TLS, True, [ALL], {"type": "user"}), WARNING, "has no ACL"),
        ((TLS, True, [ALL], None), WARNING, "has no ACL"),
        ((TLS, True, [ALL], ACL), GOOD, "with TLS and an ACL"),
        ((FILE, True, None, ACL), UNKNOWN, "/proc/net/tcp"),
        ((FILE, False, [], ACL), WARNING, "does not use TLS"),
        ((TLS, False, [], None), GOOD, "uses TLS"),
    ],
    live_dangerously: [
        (("",), GOOD),
        (("[options]\nlive_dangerously = no\n",), GOOD),
        (("[options]\n;live_dangerously = yes\n",), GOOD),
        (("[files]\nlive_dangerously = yes\n",), GOOD),
        (("[options]\nlive_dangerously = yes ; for now\n",), BAD),
        (("[options](!)\nlive_dangerously => TRUE\n",), BAD),
        (("#include more.conf\n",), UNKNOWN),
        (("#include more.conf\n[options]\nlive_dangerously=no\n",), GOOD),
        ((None,), UNKNOWN),
    ],
    clock: [
        ((0.6,), GOOD), ((-1.9,), GOOD), ((3.0,), WARNING), ((-59,), WARNING), ((3600,), BAD), ((-61,), BAD),
    ],
}  # fmt: skip


@pytest.mark.parametrize("rule", TABLE)
def test_findings(rule):
    check(rule, TABLE[rule])


def test_a_password_in_the_address_is_not_shown():
    found = (
        asterisk_findings.reachable(SEEN, WITH_PASSWORD),
        asterisk_findings.unreachable(*refused(404, WITH_PASSWORD)),
    )
    assert "sesame" not in "".join(finding.found + finding.remedy for finding in found)


def test_the_password():
    for secret, file, from_environment, state, found in (
        (LONG, (0o600, 7, 7), False, GOOD, "/etc/idtone/ari.password"),
        (LONG, (0o400, 0, 7), False, GOOD, "/etc/idtone/ari.password"),
        (LONG, (0o600, 5, 0), False, GOOD, "/etc/idtone/ari.password"),
        (LONG, (0o644, 7, 7), False, BAD, "all users"),
        (LONG, (0o604, 7, 7), False, BAD, "0604"),
        (LONG, (0o640, 7, 7), False, WARNING, "group"),
        (LONG, (0o600, 5, 7), False, WARNING, "user 5"),
        (LONG, None, True, GOOD, "long enough"),
        (LONG, None, False, WARNING, "settings file"),
        ("a" * 15, None, True, WARNING, "fewer than 16"),
        ("a" * 16, None, True, GOOD, "long enough"),
        ("Peekaboo", None, True, BAD, "manuals"),
        ("idtone", (0o600, 7, 7), False, BAD, "manuals"),
    ):
        ari = FILE if file else AriSettings(password=secret)
        finding, anew = (
            asterisk_findings.password(secret, ari, from_environment, file, hook) for hook in (False, True)
        )
        assert (finding.state, found in finding.found) == (state, True), finding
        assert secret in SAMPLES or secret not in finding.found + finding.remedy, "a password is never shown"
        if "fewer" in found:
            assert "openssl rand" in finding.remedy
            exports = ["idtone dialplan export" in each.remedy for each in (finding, anew)]
            assert exports == [False, True], "if the hook's secret is derived from it"


def test_sections_of_a_configuration_file():
    text = (
        "; comment\n[a](!)\npermit = 1\nx=1\n[b](a)\nx => 2;3\ny = a=b\n"
        "#include other.conf\n[a]\nz = \n[c](nobody)\npassword = k\\;9\n"
    )
    assert sections(text) == {
        "a": {"permit": "1", "x": "1", "z": ""},
        "b": {"permit": "1", "x": "2", "y": "a=b"},
        "c": {"password": "k\\;9"},
    }
