from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.ari_app.flow import TABLE, Action, Signal, State, playback_signal, step

RELEASES = {Action.RELEASE_HEARD, Action.RELEASE_UNHEARD}


def walk(signals: list[Signal]) -> tuple[State, list[Action]]:
    state, done = State.WAITING, []
    for signal in signals:
        state, actions = step(state, signal)
        done += actions
    return state, done


@given(st.lists(st.sampled_from(Signal), max_size=12))
def test_a_channel_is_let_go_at_most_once_and_never_after_it_went(signals):
    _, done = walk(signals)
    assert sum(action in RELEASES for action in done) <= 1
    if Signal.GONE in signals:
        assert not RELEASES & set(walk(signals[signals.index(Signal.GONE) :])[1])


@given(st.lists(st.sampled_from(Signal), max_size=12))
def test_heard_is_said_only_after_the_sound_ended_and_its_evidence_was_settled(signals):
    _, done = walk(signals)
    if Action.RELEASE_HEARD in done:
        assert Action.RECORD_HEARD in done
        entered = signals.index(Signal.ENTERED)
        assert Signal.FINISHED in signals[entered:]
        assert {Signal.SEALED, Signal.OVERDUE} & set(signals[entered:])
    assert (Action.RECORD_HEARD in done) + (Action.RECORD_UNHEARD in done) + (Action.RECORD_CUT in done) <= 1


def test_every_state_but_the_last_has_a_way_out():
    for state in set(State) - {State.OVER}:
        assert any(source is state and target is not state for (source, _), (target, _) in TABLE.items()), state
    assert not [source for source, _ in TABLE if source is State.OVER]


def test_every_way_that_ends_leaves_the_channel_let_go_or_gone():
    for (_, signal), (target, actions) in TABLE.items():
        if target is State.OVER:
            assert signal is Signal.GONE or RELEASES & set(actions)


@pytest.mark.parametrize(
    ("state", "asterisk_s", "our_s", "signal"),
    [
        ("done", 0.44, 0.45, Signal.FINISHED),
        ("done", 0.42, 0.42, Signal.FINISHED),  # one frame short: the last one is still being played out
        ("done", 0.419, 0.44, Signal.FAILED),
        ("done", 0.2, 0.21, Signal.FAILED),  # a hangup or a stop says `done` too
        ("done", 3600.2, 0.21, Signal.FAILED),  # Asterisk's clock was stepped forward
        ("done", -3599.5, 0.45, Signal.FAILED),  # and back
        ("failed", 0.44, 0.45, Signal.FAILED),
        ("failed", 0.0, 0.0, Signal.FAILED),
    ],
)
def test_what_the_end_of_a_playback_means(state, asterisk_s, our_s, signal):
    assert playback_signal(state, asterisk_s, our_s, 0.44) is signal
