from __future__ import annotations

import pytest

from idtone.errors import ProofError
from idtone.ledger.evidence.leaf_rules import AWAITED_LIMIT, StepOrder, check_call, read_leaf
from idtone.ledger.evidence.leaves import leaf, step_text

STEP = step_text(7, "pbx-1", "ended", 1, '{"status":"BUSY"}')


def test_a_leaf_is_read():
    decided = step_text(4, "局-1", "decided", 1, '{"direction":"incoming","registry_version":42}')
    read = read_leaf(leaf('c-"1"', [decided, STEP], 0))
    assert (read.call_id, read.after, read.ids, read.kinds) == ('c-"1"', 0, (4, 7), ("decided", "ended"))
    assert read_leaf(leaf("c", [STEP], 3)).after == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"call":"c","steps":[]}',
        b"[" * 10_000,
        leaf("", [STEP], 0),
        leaf("c" * 256, [STEP], 0),
        leaf("c", [STEP], 0) + b" ",
        leaf("c", [STEP], -1),
        leaf("c", [STEP], 0).replace(b'"call"', b'"after":true,"call"'),
        leaf("c", [STEP], 0).replace(b'"call"', b'"after":0,"call"'),
        leaf("c", [STEP], 0).replace(b'"call"', b'"also":1,"call"'),
        leaf("c", [STEP], 0).replace(b'"id":7', b'"id":7.0'),
        leaf("c", [STEP], 0).replace(b'"id":7', b'"id":true'),
        leaf("c", [STEP], 0).replace(b'"BUSY"', b'["BUSY"]'),
        leaf("c", [STEP], 0).replace(b'"BUSY"', b"0.5"),
        leaf("c", [STEP], 0).replace(b'"BUSY"', b'"BUSY","a":1'),
        leaf("c", [STEP], 0).replace(b'"BUSY"', rb'"B\u0055SY"'),
        leaf("c", [STEP], 0).replace(b'"pbx-1"', b"1"),
    ],
)
def test_what_is_no_leaf_is_refused(content):
    with pytest.raises(ProofError, match="canonical JSON of a leaf"):
        read_leaf(content)


@pytest.mark.parametrize(
    ("kinds", "after", "before", "fault"),
    [
        (["decided", "ended"], 0, 0, ""),
        (["exported"], 0, 0, ""),
        (["sound-failed"], 2, 2, ""),
        (["sound-failed"], 2, 3, "says that 2 steps"),
        (["sound-failed"], 0, 2, "says that 0 steps"),
        (["sound-failed", "sound-failed"], 2, 2, "several steps"),
        (["decided"], 0, 0, "not over"),
        (["ended", "ended"], 0, 0, "was over before"),
    ],
)
def test_a_leaf_follows_the_earlier_ones_of_its_call(kinds, after, before, fault):
    steps = [step_text(number, "n", kind, 1, "{}") for number, kind in enumerate(kinds, 1)]
    read = read_leaf(leaf("c", steps, after))
    if not fault:
        check_call(read, before)
        return
    with pytest.raises(ProofError, match=fault):
        check_call(read, before)


def test_each_step_is_in_one_leaf_and_the_last_steps_are_in_order():
    order = StepOrder()
    for ids in ([1, 4], [2, 5], [3, 8]):
        order.add(ids)
    assert order.awaited == 2
    for wrong, fault in (
        ([6, 8], "not after those of the leaf before"),
        ([4, 9], "step 4 is in another leaf"),
        ([11, 10], "step 11 is in another leaf, or not in order"),
        ([AWAITED_LIMIT + 10], "are missing"),
    ):
        with pytest.raises(ProofError, match=fault):
            order.add(wrong)
    order.add([7, 12])
