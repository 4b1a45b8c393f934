from dataclasses import dataclass, replace

import pytest

from bench.overload import EMERGENCY, _goodput, _normal_after_s, _wrong
from lab.lab import LICENSED, SUSPENDED
from lab.sipp import Outcome


@dataclass
class Offered:
    """The part of `Load` that the tests read."""

    offered: int
    began_s: float = 100.0
    ends_s: float = 111.0


SERVED = Outcome(LICENSED, "1", sent_s=105.0, rung_s=105.1, final_s=105.6, status=200, retry_after="", cause=None)
SHED = Outcome(LICENSED, "1", sent_s=105.0, rung_s=None, final_s=105.1, status=503, retry_after="", cause=42)


def test_goodput_counts_what_was_prompt_and_within_the_time():
    late = replace(SERVED, rung_s=106.1)
    early, after = replace(SERVED, final_s=100.9), replace(SERVED, final_s=111.1)
    emergency = replace(SERVED, number=EMERGENCY)
    assert _goodput([SERVED] * 20 + [late, early, after, emergency, SHED], Offered(25)) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("outcomes", "offered", "heard", "rung", "wrong"),
    [
        ([SERVED, SHED], 2, 1, [], 0),
        ([SERVED, SHED], 3, 1, [], 1),
        ([SERVED], 1, 0, [], 1),
        ([replace(SHED, cause=34)], 1, 0, [], 1),
        ([replace(SHED, number=EMERGENCY)], 1, 0, [], 1),
        ([replace(SHED, number=SUSPENDED), replace(SHED, number=SUSPENDED, status=403, cause=21)], 2, 0, [], 0),
        ([replace(SERVED, number=SUSPENDED)], 1, 0, [SUSPENDED], 2),
    ],
)
def test_what_is_wrong(outcomes, offered, heard, rung, wrong):
    assert _wrong(outcomes, offered, heard, rung) == wrong


def test_normal_is_when_no_later_call_had_to_wait():
    late = replace(SERVED, sent_s=102.0, rung_s=103.0)
    assert _normal_after_s([late, SERVED], Offered(2)) == 2.0
    assert _normal_after_s([SERVED], Offered(1)) == 0.0
    assert _normal_after_s([SERVED, replace(late, sent_s=106.0, rung_s=107.0)], Offered(2)) is None
    assert _normal_after_s([SERVED], Offered(2)) is None
