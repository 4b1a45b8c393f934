"""Calls of the last hours for a ledger, as on a small PBX.

In most calls the sound was heard. Some calls were refused, and some were handled by the fallback. No phone rang. The
decisions are invented, but every step is written as the service writes it.
"""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from idtone.core.calls import Decision, Direction, ForwardedCall, Outcome, Party, Reason
from idtone.core.numbers import parse
from idtone.core.settings.settings import Settings
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.tones.making.sound_files import Sound, ensure_sounds
from idtone.tones.profile_library import load_library
from lab.ledger.sample_evidence import BYPASS, NONCE, NOTICE, PLAY, REFUSE

NOT_DECIDED = Decision(Outcome.NOTICE, Reason.NUMBER_UNKNOWN, None, {Party.CALLED: "notice"}, 42)
KINDS = ((PLAY, 85), (NOTICE, 5), (NOT_DECIDED, 4), (REFUSE, 3), (BYPASS, 1), (None, 2))
"""Decision → relative number of calls. None means that the hook decided without the service."""


def past_calls(
    count: int, period: timedelta, until: datetime, sounds: Mapping[str, Sound], seed: int = 1
) -> Iterator[list[Step]]:
    """Yield the steps of each call, oldest call first.

    At night there are fewer calls. In the newest call, the sound was heard.
    """
    dice = random.Random(seed)
    starts = sorted(until - timedelta(minutes=3) - period * dice.random() for _ in range(count))
    for number, start in enumerate(starts):
        busy = 9 <= start.astimezone().hour < 19
        if busy or dice.random() < 0.3:
            (decision,) = dice.choices([kind for kind, _ in KINDS], [often for _, often in KINDS])
            yield _call(f"pbx-1-{start.timestamp():.0f}.{number}", start, decision, dice, sounds)
    yield _call(f"pbx-1-{until.timestamp():.0f}.{count}", until - timedelta(minutes=2), PLAY, dice, sounds)


def _call(
    call_id: str, start: datetime, decision: Decision | None, dice: random.Random, sounds: Mapping[str, Sound]
) -> list[Step]:
    number = f"03123456{dice.randrange(100):02}"
    called = f"0503123{dice.randrange(10_000):04}"
    forwarded = ForwardedCall(
        call_id,
        Direction.INCOMING,
        parse(number),
        parse(f"0901234{dice.randrange(10_000):04}"),
        parse(called),
        f"PJSIP/{called}@trunk",
    )

    def at(seconds: float) -> datetime:
        return start + timedelta(seconds=seconds)

    if decision is None:
        told = {Party.CALLED: "notice"}
        first = steps.fallback(forwarded, at(0), Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, told, NONCE)
    else:
        first = steps.decided(forwarded, decision, at(0), nonce=NONCE)
    if decision is REFUSE:
        return [first, steps.ended(call_id, at(0.1), CallStatus.REFUSED, 21)]
    if decision is BYPASS:
        return [first, steps.connected(call_id, at(2)), steps.ended(call_id, at(90), CallStatus.CONNECTED, 16)]
    if decision is not PLAY and dice.random() < 0.3:
        return [first, steps.ended(call_id, at(25), CallStatus.NOANSWER, 19)]
    rings_s = dice.uniform(2, 9)
    sound = "sample" if decision is PLAY else "notice"
    lasts_ms = sounds[sound].duration_ms
    heard_s = rings_s + 0.002 + lasts_ms / 1000
    return [
        first,
        steps.answered(call_id, at(rings_s)),
        steps.sound_started(call_id, at(rings_s + 0.002), sound, sounds[sound].sha256),
        steps.sound_ended(call_id, at(heard_s), lasts_ms, known_by="packets", packets=round(lasts_ms / 20)),
        steps.connected(call_id, at(heard_s + 0.008)),
        steps.ended(call_id, at(heard_s + 1 + dice.expovariate(1 / 60)), CallStatus.CONNECTED, 16),
    ]


def write_past_calls(settings: Settings, count: int, period: timedelta, until: datetime) -> None:
    """Write past calls into the ledger of the settings, and create their sounds. Raises LedgerError.

    No service may use the ledger meanwhile.
    """
    sounds = ensure_sounds(settings.sounds.directory, load_library().values())
    with LedgerWriter.open(
        settings.ledger.own_url(), settings.node, KeyRing.of(settings.ledger, settings.node)
    ) as writer:
        told = sorted(
            (step for call in past_calls(count, period, until, sounds) for step in call), key=lambda step: step.at
        )
        for written in [writer.append(step) for step in told]:
            written.result(60)
