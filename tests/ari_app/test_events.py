from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.ari_app import events
from idtone.ari_app.events import EVENTS, WATCHED, read
from idtone.calls import Party, Reason
from idtone.ledger.steps import CallStatus

CHANNEL = {"id": "1795.1", "caller": {"name": "", "number": "0312345678"}}
AT = "2026-11-25T00:29:06.334+0000"
TIME = datetime(2026, 11, 25, 0, 29, 6, 334000, tzinfo=UTC)
PLAYBACK = {"id": "p", "state": "done"}


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (
            {"type": "StasisStart", "channel": CHANNEL, "args": ["sound", "c"]},
            events.Entered("1795.1", "0312345678", ("sound", "c")),
        ),
        ({"type": "StasisEnd", "channel": CHANNEL}, events.Left("1795.1")),
        ({"type": "PlaybackStarted", "playback": PLAYBACK, "timestamp": AT}, events.PlaybackStarted("p", TIME)),
        (
            {"type": "PlaybackFinished", "playback": PLAYBACK, "timestamp": AT},
            events.PlaybackFinished("p", "done", TIME),
        ),
        ({"type": "ChannelEnteredBridge", "channel": CHANNEL, "bridge": {}}, events.Bridged("1795.1")),
        ({"type": "ChannelHold", "channel": CHANNEL}, events.Held("1795.1", on=True)),
        ({"type": "ChannelUnhold", "channel": CHANNEL}, events.Held("1795.1", on=False)),
        ({"type": "ChannelDestroyed", "channel": CHANNEL, "cause": 17}, events.Destroyed("1795.1", 17)),
        ({"type": "ChannelDestroyed", "channel": CHANNEL, "cause": 0}, events.Destroyed("1795.1", None)),
        ({"type": "ApplicationReplaced"}, events.Replaced()),
        (
            {"type": "RESTResponse", "request_id": "7", "status_code": 204, "reason_phrase": "No Content"},
            events.Response("7", 204, "No Content", ""),
        ),
        (
            {
                "type": "ChannelUserevent",
                "eventname": "IdtoneEnded",
                "userevent": {
                    "eventname": "IdtoneEnded",
                    "call": "c-1",
                    "status": "BUSY",
                    "cause": "17",
                    "reason": "licence-valid",
                },
            },
            events.HookEnded("c-1", CallStatus.BUSY, 17, Reason.LICENCE_VALID),
        ),
        (
            {
                "type": "ChannelUserevent",
                "eventname": "IdtoneEnded",
                "userevent": {"call": "c-1", "status": "CONNECTED", "cause": "16", "heard": "calledcaller"},
            },
            events.HookEnded("c-1", CallStatus.CONNECTED, 16, None, frozenset(Party)),
        ),
        ({"type": "ChannelUserevent", "eventname": "another's", "userevent": {}}, None),
        ({"type": "ChannelVarset"}, None),
        ({"type": "an event of a later version"}, None),
        # What is not as documented is named, and nothing of it is used.
        ({"type": "StasisStart", "channel": CHANNEL}, events.MalformedEvent("StasisStart")),
        ({"type": "StasisEnd", "channel": "x"}, events.MalformedEvent("StasisEnd")),
        (
            {"type": "PlaybackFinished", "playback": PLAYBACK, "timestamp": "noon"},
            events.MalformedEvent("PlaybackFinished"),
        ),
        (
            {"type": "ChannelUserevent", "eventname": "IdtoneEnded", "userevent": {"call": "c", "status": "FINE"}},
            events.MalformedEvent("ChannelUserevent"),
        ),
        ({}, events.MalformedEvent("unknown")),
        ([], events.MalformedEvent("unknown")),
    ],
)
def test_messages_become_events(message, event):
    assert read(json.dumps(message)) == event


@given(st.text())
def test_no_text_is_an_exception(text):
    read(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_no_json_is_an_exception(inner):
    for kind in EVENTS | WATCHED:
        read(json.dumps({"type": kind, "channel": inner, "playback": inner, "userevent": inner, "args": inner}))


def test_the_filter_lets_answers_through():
    assert "RESTResponse" in EVENTS
