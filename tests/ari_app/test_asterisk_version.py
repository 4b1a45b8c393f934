"""The version of Asterisk, read from its output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.ari_app.asterisk_version import AsteriskVersion

CERTIFIED, CANDIDATE = "certified", "candidate"
READ = [
    # text, numbers, what else is known
    ("22.10.1", (22, 10, 1), set()),
    ("Asterisk 22.10.1", (22, 10, 1), set()),
    ("22.10.1+dfsg+~cs6.17.60671434-1", (22, 10, 1), set()),
    ("1:22.2.0~dfsg+~cs6.15", (22, 2, 0), set()),
    ("16.28.0~dfsg-0+deb11u4", (16, 28, 0), set()),
    ("20.9.3", (20, 9, 3), set()),
    ("22.11.0-rc2", (22, 11, 0), {CANDIDATE}),
    ("22.11.0-rc2+dfsg+~cs6.17.60671434-1", (22, 11, 0), {CANDIDATE}),
    ("22.11.0~rc2-1", (22, 11, 0), {CANDIDATE}),
    ("23.0.0-pre1", (23, 0, 0), {CANDIDATE}),
    ("22.0.0-beta1", (22, 0, 0), {CANDIDATE}),
    ("certified-20.7-cert11", (20, 7), {CERTIFIED}),
    ("certified-20.7-cert11-rc1", (20, 7), {CERTIFIED}),
    ("certified/18.9-cert13", (18, 9), {CERTIFIED}),
    ("GIT-22-9f1c2d3e4b", (22,), set()),
    ("GIT-22-1a2b3c4M", (22,), set()),
    ("GIT-23-00ff11", (23,), set()),
    ("GIT-20-4", (20,), set()),
    ("GIT-22.10-1a2b3c4", (22, 10), set()),
    ("GIT-certified-20.7-1a2b3c4", (20, 7), {CERTIFIED}),
    ("GIT-certified/20.7-1a2b3c4", (20, 7), {CERTIFIED}),
    ("22", (22,), set()),
    ("GIT-master-12ab", (), set()),
    ("SVN-trunk-r4000", (), set()),
    ("UNKNOWN__and_probably_unsupported", (), set()),
    ("22.10.1.5.6", (), set()),
    ("99999.1", (), set()),
    ("２２.10", (), set()),
    ("", (), set()),
]


@pytest.mark.parametrize(("text", "numbers", "known"), READ, ids=[row[0] or "none" for row in READ])
def test_a_version_is_read(text, numbers, known):
    version = AsteriskVersion.read(text)
    assert version == AsteriskVersion(numbers, CERTIFIED in known, CANDIDATE in known)
    assert version.is_release == (len(numbers) > 1)


OVER_WEBSOCKET = "20.14.0 20.15.2 21.9.0 22.4.0 22.10.1+dfsg+~cs6 23.0.0 23.0.0-rc1 GIT-23-1a2b3c4 24.0.0"
OVER_HTTP = (
    "18.26.1 20.13.0 21.8.0 22.3.0 1:22.2.0~dfsg+~cs6.15 certified-20.7-cert6 certified/18.9-cert13 GIT-master 22 "
    "GIT-22-9f1c2d3"
)
PROMPT = "18.21.0 20.6.0 certified-20.7-cert11 20.20.1 21.1.0 22.0.0 23.4.1 GIT-22-9f1c2d3 22"
LATE = "16.28.0 18.20.2 20.0.0 20.5.2 21.0.2 certified/18.9-cert13 GIT-20-9f1c2d3 GIT-master-1"


def test_what_depends_on_the_version():
    read = AsteriskVersion.read
    for texts, expected in ((OVER_WEBSOCKET, True), (OVER_HTTP, False)):
        assert {read(text).takes_requests_over_websocket for text in (*texts.split(),)} == {expected}, texts
    for texts, expected in ((PROMPT, True), (LATE, False)):
        assert {read(text).answers_promptly for text in texts.split()} == {expected}, texts


@given(st.text(max_size=40) | st.from_regex(r"(GIT-|certified[-/])?[0-9.]{1,12}[-~+a-z0-9]*", fullmatch=True))
def test_any_text_is_read(text):
    assert len(AsteriskVersion.read(text).numbers) <= 4
