"""Observations of Asterisk → findings."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from idtone.errors import AriRefused, AriUnavailable
from idtone.operations.doctor import asterisk
from idtone.operations.doctor.asterisk import SAMPLES, Seen, sections
from idtone.operations.doctor.findings import State
from idtone.settings import AriSettings

SEEN = Seen(
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


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (AriUnavailable("Asterisk does not answer"), "http.conf"),
        (AriRefused(401, "Unauthorized", "GET asterisk/info"), "the password in /etc/idtone/ari.password"),
        (AriRefused(403, "Forbidden", "GET asterisk/info"), "`permit = `"),
        (
            AriRefused(404, "Not Found", "GET asterisk/info"),
            "before /ari in ari.url, which is http://127.0.0.1:8088/ari",
        ),
        (AriRefused(503, "Service Unavailable", "GET asterisk/info"), "core waitfullybooted"),
    ],
)
def test_why_asterisk_could_not_be_reached(error, remedy):
    finding = asterisk.unreachable(error, FILE)
    assert finding.state is State.BAD
    assert str(error) in finding.found
    assert remedy in finding.remedy


@pytest.mark.parametrize("url", ["http://127.0.0.1:8088", "http://me:sesame@127.0.0.1:8088/pbx"])
def test_the_remedy_adds_ari_to_the_address(url):
    finding = asterisk.unreachable(AriRefused(404, "Not Found", "GET asterisk/info"), AriSettings(url=url))
    bare = url.replace("me:sesame@", "")
    assert finding.found.endswith(f"at {bare}")
    assert f"`ari: {{url: '{bare}/ari'}}`" in finding.remedy


def test_a_password_in_the_address_is_not_shown():
    ari = AriSettings(url="http://me:sesame@127.0.0.1:8088/ari")
    found = [asterisk.reachable(SEEN, ari).found, asterisk.unreachable(AriRefused(404, "", "GET x"), ari).found]
    assert all("http://127.0.0.1:8088/ari" in text and "sesame" not in text for text in found)


@pytest.mark.parametrize(
    ("status", "state"), [(404, State.GOOD), (204, State.GOOD), (403, State.BAD), (401, State.BAD)]
)
def test_rights(status, state):
    finding = asterisk.rights(replace(SEEN, write_status=status), FILE)
    assert finding.state is state
    assert state is State.GOOD or "[idtone]: `read_only = no`" in finding.remedy


@pytest.mark.parametrize(
    ("text", "state", "found"),
    [
        ("[general]\nenabled = yes\n", State.GOOD, "no web page"),
        ("", State.GOOD, "no web page"),
        ("[general]\n;allowed_origins = *\n", State.GOOD, "no web page"),
        ("[general]\nallowed_origins = https://pbx.example,https://other.example\n", State.GOOD, "other.example"),
        ("[general]\nallowed_origins = https://pbx.example, *\n", State.WARNING, "every web page"),
        ("[general]\nallowed_origins=*\n", State.WARNING, "every web page"),
        ("#include more.conf\n[general]\nenabled = yes\n", State.UNKNOWN, "other files"),
        (None, State.UNKNOWN, "cannot be read"),
    ],
)
def test_origins(text, state, found):
    finding = asterisk.origins(text, Path("/etc/asterisk/ari.conf"))
    assert finding.state is state
    assert found in finding.found


@pytest.mark.parametrize(
    ("running", "text", "trouble", "state", "found"),
    [
        ({"func_cdr"}, "", "", State.GOOD, "does not disable"),
        ({"func_cdr"}, None, "", State.GOOD, "does not disable"),
        ({"func_cdr"}, "[general]\nenable = yes\n", "", State.GOOD, "does not disable"),
        ({"func_cdr"}, "[general]\nenable=no\n", "", State.WARNING, "enable = no"),
        ({"func_cdr"}, "[csv]\nenable = no\n", "", State.GOOD, "does not disable"),
        ({"func_cdr"}, "#exec /bin/true\n", "", State.UNKNOWN, "other files"),
        ({"func_cdr"}, None, "Permission denied", State.UNKNOWN, "Permission denied"),
        ({"func_cut"}, "", "", State.WARNING, "func_cdr is not running"),
    ],
)
def test_the_cdr_engine(running, text, trouble, state, found):
    finding = asterisk.cdr(running, text, trouble, Path("/etc/asterisk/cdr.conf"))
    assert finding.state is state
    assert found in finding.found


@pytest.mark.parametrize(
    ("secret", "file", "from_environment", "state", "found"),
    [
        (LONG, (0o600, 7, 7), False, State.GOOD, "/etc/idtone/ari.password"),
        (LONG, (0o400, 0, 7), False, State.GOOD, "/etc/idtone/ari.password"),
        (LONG, (0o600, 5, 0), False, State.GOOD, "/etc/idtone/ari.password"),
        (LONG, (0o644, 7, 7), False, State.BAD, "all users"),
        (LONG, (0o604, 7, 7), False, State.BAD, "0604"),
        (LONG, (0o640, 7, 7), False, State.WARNING, "group"),
        (LONG, (0o600, 5, 7), False, State.WARNING, "user 5"),
        (LONG, None, True, State.GOOD, "long enough"),
        (LONG, None, False, State.WARNING, "settings file"),
        ("a" * 15, None, True, State.WARNING, "fewer than 16"),
        ("a" * 16, None, True, State.GOOD, "long enough"),
        ("Peekaboo", None, True, State.BAD, "manuals"),
        ("idtone", (0o600, 7, 7), False, State.BAD, "manuals"),
    ],
)
def test_the_password(secret, file, from_environment, state, found):
    finding = asterisk.password(secret, FILE if file else AriSettings(password=secret), from_environment, file)
    assert finding.state is state
    assert found in finding.found
    assert secret in SAMPLES or secret not in finding.found + finding.remedy, "a password is never shown"


def test_a_new_password_needs_a_new_export_if_the_hooks_secret_is_derived_from_it():
    remedies = [asterisk.password("short", AriSettings(), True, None, with_hook).remedy for with_hook in (True, False)]
    assert ["idtone dialplan export" in remedy for remedy in remedies] == [True, False]


@pytest.mark.parametrize(
    ("ari", "nearby", "listening", "user", "state", "found"),
    [
        (FILE, True, [LOOPBACK, V6], None, State.GOOD, "loopback"),
        (FILE, True, [], None, State.GOOD, "no port"),
        (FILE, True, [ALL], None, State.WARNING, "port 8088 is open on 0.0.0.0, without TLS"),
        (FILE, True, [LOOPBACK, LAN], ACL, State.WARNING, "192.0.2.1, without TLS (the user has an ACL)"),
        (TLS, True, [ALL], {"type": "user"}, State.WARNING, "has no ACL"),
        (TLS, True, [ALL], None, State.WARNING, "has no ACL"),
        (TLS, True, [ALL], ACL, State.GOOD, "with TLS and an ACL"),
        (FILE, True, None, ACL, State.UNKNOWN, "/proc/net/tcp"),
        (FILE, False, [], ACL, State.WARNING, "does not use TLS"),
        (TLS, False, [], None, State.GOOD, "uses TLS"),
    ],
)
def test_exposure(ari, nearby, listening, user, state, found):
    finding = asterisk.exposure(ari, replace(SEEN, nearby=nearby), listening, user)
    assert finding.state is state
    assert found in finding.found


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", State.GOOD),
        ("[options]\nlive_dangerously = no\n", State.GOOD),
        ("[options]\n;live_dangerously = yes\n", State.GOOD),
        ("[files]\nlive_dangerously = yes\n", State.GOOD),
        ("[options]\nlive_dangerously = yes ; for now\n", State.BAD),
        ("[options](!)\nlive_dangerously => TRUE\n", State.BAD),
        ("#include more.conf\n", State.UNKNOWN),
        ("#include more.conf\n[options]\nlive_dangerously=no\n", State.GOOD),
        (None, State.UNKNOWN),
    ],
)
def test_live_dangerously(text, state):
    assert asterisk.live_dangerously(text, Path("/etc/asterisk/asterisk.conf")).state is state


@pytest.mark.parametrize(
    ("ahead_s", "state"),
    [
        (0.6, State.GOOD),
        (-1.9, State.GOOD),
        (3.0, State.WARNING),
        (-59, State.WARNING),
        (3600, State.BAD),
        (-61, State.BAD),
    ],
)
def test_two_clocks(ahead_s, state):
    assert asterisk.clock(replace(SEEN, ahead_s=ahead_s)).state is state


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
