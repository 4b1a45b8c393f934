"""Random paths through calls on a real Asterisk: 40 here, and thousands in `make bench-walks`.

The choices come from a seed. The timing of events is part of a path, so a path never runs exactly the same way again.
For this reason a failing path is not shrunk, but reported unchanged with its seed.
"""

from itertools import product

import pytest

from lab.asterisk import Asterisk
from lab.calls.call_paths import (
    DIRECTIONS,
    ENDS_OF_TALK,
    HEARING,
    INTERFACES,
    POSSIBLE,
    CallPath,
    InjectedFault,
    Move,
    PathStep,
    Round,
    draw_round,
)
from lab.calls.walk_paths import walk_round
from lab.endings import Event
from lab.nightly_tests import rest_at_night

SEED = 2053
PATHS, WITHIN_S, MISHAPS = 40, 2.0, 2


def test_what_is_drawn_is_drawn_again_and_has_everything_in_it():
    rounds = [draw_round(SEED, number, PATHS, WITHIN_S, MISHAPS) for number in range(40)]
    assert rounds == [draw_round(SEED, number, PATHS, WITHIN_S, MISHAPS) for number in range(40)]
    assert rounds != [draw_round(SEED + 1, number, PATHS, WITHIN_S, MISHAPS) for number in range(40)]
    paths = [path for each in rounds for path in each.paths]
    assert {(path.interface, path.direction) for path in paths} == {
        (interface, to) for interface in INTERFACES for to in DIRECTIONS
    }
    assert {each.notify[direction] for each in rounds for direction in DIRECTIONS} == set(HEARING)
    assert {mishap for each in rounds for _, mishap in each.mishaps} == set(InjectedFault)
    everything = {what for possible in POSSIBLE.values() for what in possible} | {Event.UNREACHABLE}
    assert {leg.what for path in paths for leg in path.legs} == everything
    assert all([isinstance(leg.what, Event) for leg in path.legs].index(True) == len(path.legs) - 1 for path in paths)


@pytest.mark.alone
@pytest.mark.breadth
async def test_random_paths(installation, tmp_path, references):
    with Asterisk(installation, tmp_path / "pbx") as asterisk:
        drawn = draw_round(SEED, 0, PATHS, WITHIN_S, MISHAPS)
        done = await walk_round(asterisk, drawn, references)
    assert not done.complaints, f"{drawn}\n" + "\n".join(done.complaints)
    assert all(walk.complete or walk.interrupted or walk.by_fallback for walk in done.walks)


@pytest.mark.nightly
async def test_who_hangs_up_in_the_moment_of_the_answer(installation, tmp_path, references):
    """A party hangs up before its own sound begins, if both parties hear one, or before Dial() has finished with it.

    The other party does not wait, and Asterisk's memory stays intact.
    """
    kinds = list(product(INTERFACES, DIRECTIONS, ENDS_OF_TALK))
    paths = [
        CallPath(
            f"{each}",
            each * 0.04,
            "licensed",
            interface,
            direction,
            (PathStep(0, Move.RING), PathStep(20, Move.ANSWER), PathStep(0, event)),
        )
        for each, (interface, direction, event) in enumerate(kinds * 9)
    ]
    drawn = Round({"incoming": "both", "outgoing": "caller"}, answered_first=False, paths=tuple(paths), mishaps=())
    with Asterisk(installation, tmp_path / "pbx") as asterisk:
        done = await walk_round(asterisk, drawn, references)
        assert "FRACK" not in asterisk.log()
    assert not done.complaints, "\n".join(done.complaints)


@pytest.mark.nightly
async def test_a_caller_who_alone_hears_the_sound_of_a_service_that_dies(asterisk, shared_service, references):
    """The service is not needed: the decided sound is played, and every record gets its end."""
    shared_service.stop()
    legs = (
        PathStep(0, Move.RING),
        PathStep(20, Move.ANSWER),
        PathStep(0, Move.WAIT),
        PathStep(200, Event.CALLER_HANGS_UP),
    )
    paths = [CallPath(f"{each}", 0.1 * each, "licensed", "ari", "incoming", legs) for each in range(5)]
    # The service is killed, and killed again before it can be back in time.
    mishaps = tuple((at_s, InjectedFault.KILLED) for at_s in (0.45, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2))
    drawn = Round({"incoming": "caller"}, answered_first=False, paths=tuple(paths), mishaps=mishaps)
    done = await walk_round(asterisk, drawn, references)
    assert not done.complaints, "\n".join(done.complaints)
    assert all(walk.connected and walk.complete for walk in done.walks)
    assert any(walk.record and not walk.by_fallback and [*walk.record["known_by"]] == ["caller"] for walk in done.walks)


@rest_at_night("moves", [(Move.CALLED_HOLDS, Move.CALLED_RESUMES), (Move.CALLED_HOLDS,)])
async def test_a_party_that_puts_the_call_on_hold_during_the_sound(asterisk, shared_service, references, moves):
    """Meanwhile Asterisk sends nothing to the party.

    The party hears the sound again if it resumes the call. Otherwise no record claims that it heard the sound. If only
    the beginning of the first sound is missing, as on a slow machine, the rest resembles a complete sound.
    """
    shared_service.stop()

    def legs(after_ms: int) -> tuple[PathStep, ...]:
        holds = (PathStep(pause_ms, move) for pause_ms, move in zip((after_ms, 100), moves, strict=False))
        # The last pause is after the sound, its repetition and the notice: 1,440 ms.
        return PathStep(0, Move.RING), PathStep(20, Move.ANSWER), *holds, PathStep(2500, Event.CALLER_HANGS_UP)

    paths = [
        CallPath(
            f"{each}",
            each * 0.2,
            "licensed",
            INTERFACES[each % 2],
            DIRECTIONS[each // 2 % 2],
            legs((100, 20)[each // 4]),
        )
        for each in range(8)
    ]
    drawn = Round({"incoming": "called", "outgoing": "both"}, answered_first=False, paths=tuple(paths), mishaps=())
    done = await walk_round(asterisk, drawn, references)
    assert not done.complaints, "\n".join(done.complaints)
    heard = Move.CALLED_RESUMES in moves
    assert all(("called" in walk.record["known_by"]) == heard for walk in done.walks if walk.record)
    assert all(walk.told and walk.told.status == "CONNECTED" for walk in done.walks)


async def test_a_party_that_holds_while_the_service_is_away(asterisk, shared_service, references):
    """The service takes over the call when it is back, and plays the sound.

    No event shows that the phone gets no media.
    """
    shared_service.stop()
    legs = (
        PathStep(0, Move.RING),
        PathStep(400, Move.ANSWER),
        PathStep(60, Move.CALLED_HOLDS),
        PathStep(2500, Event.CALLER_HANGS_UP),
    )
    paths = tuple(CallPath(f"{each}", 0.1 + each * 0.03, "licensed", "ari", "incoming", legs) for each in range(6))
    drawn = Round({"incoming": "called"}, answered_first=False, paths=paths, mishaps=((0.4, InjectedFault.DEAD),))
    done = await walk_round(asterisk, drawn, references)
    assert not done.complaints, "\n".join(done.complaints)
    assert any(walk.record and "sound-failed" in walk.record["times"] for walk in done.walks)
