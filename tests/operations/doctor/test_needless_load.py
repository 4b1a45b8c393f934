"""The doctor's findings on work that Asterisk does for each call without need."""

from __future__ import annotations

from pathlib import Path

import pytest

from idtone.operations.doctor import needless_load
from idtone.operations.doctor.findings import Finding, State
from idtone.operations.doctor.needless_load import MANY_CHANNELS, channels_per_endpoint

DECLINED = (
    "[declined_message_types]\ndecline=ast_bridge_merge_message_type\ndecline => ast_channel_varset_type ; ours\n"
)


def variable_events(text: str | None, trouble: str = "") -> Finding:
    return needless_load.variable_events(text, trouble, Path("/etc/asterisk/stasis.conf"))


def cel(text: str | None, trouble: str = "", running: frozenset[str] = frozenset()) -> Finding:
    return needless_load.cel(running, text, trouble, Path("/etc/asterisk/cel.conf"))


def test_events_for_variables():
    assert variable_events(DECLINED).found == "/etc/asterisk/stasis.conf declines ast_channel_varset_type"
    for text in (None, "", DECLINED.replace("decline =>", ";decline =>"), "[threadpool]\ninitial_size = 5\n"):
        finding = variable_events(text)
        assert finding.state is State.GOOD
        assert "idtone setup --decline-variable-events" in finding.found, text
    assert variable_events(None, "Permission denied").state is State.UNKNOWN


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
