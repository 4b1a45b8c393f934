"""The doctor's findings on unnecessary work of Asterisk for each call."""

from __future__ import annotations

from pathlib import Path

import pytest

from idtone.operations.doctor import needless_work_findings
from idtone.operations.doctor.findings import Finding, State
from idtone.operations.doctor.needless_work_findings import MANY_CHANNELS, channels_per_endpoint


def cel(text: str | None, trouble: str = "", running: frozenset[str] = frozenset()) -> Finding:
    return needless_work_findings.cel(running, text, trouble, Path("/etc/asterisk/cel.conf"))


@pytest.mark.parametrize(
    ("text", "running", "state"),
    [
        (None, frozenset(), State.GOOD),
        ("[general]\nenable = no\n", frozenset(), State.GOOD),
        ("[general]\n;enable = yes\n", frozenset(), State.GOOD),
        ("[general]\nenable = yes\n", frozenset({"cel_custom"}), State.GOOD),
        ("[general]\nenable = yes\n", frozenset({"func_cdr"}), State.WARNING),
    ],
)
def test_channel_events_that_nobody_writes(text, running, state):
    assert cel(text, running=running).state is state


def test_a_cel_conf_that_cannot_be_read():
    assert cel(None, "Permission denied").state is State.UNKNOWN


def test_an_endpoint_with_many_channels_is_named():
    few = channels_per_endpoint({"trunk": MANY_CHANNELS - 1, "6001": 0})
    assert (few.state, few.found) == (State.GOOD, f"no endpoint has more than {MANY_CHANNELS - 1} channels now")
    many = channels_per_endpoint({"6001": 1, "trunk": MANY_CHANNELS})
    assert (many.state, many.found) == (State.WARNING, f"the endpoint trunk has {MANY_CHANNELS} channels now")
    assert channels_per_endpoint({}).state is State.GOOD
