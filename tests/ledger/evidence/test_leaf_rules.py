import pytest

from idtone.core.errors import ProofError
from idtone.ledger.evidence import leaf_rules
from idtone.ledger.evidence.format_rules import RuleError
from idtone.ledger.evidence.leaf_rules import AWAITED_LIMIT, LeafRules, LeafShapes, StepOrder, check_call, read_leaf
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
    ("call_id", "kinds", "after", "before", "rule"),
    [
        ("c", ["decided", "ended"], 0, 0, None),
        ("act-1", ["exported"], 0, 0, None),
        ("c", ["sound-failed"], 2, 2, None),
        ("c", ["ended"], 2, 2, None),
        ("c", ["sound-failed"], 3, 2, "leaf-after"),
        ("c", ["sound-failed"], 0, 2, "leaf-after"),
        ("c", ["sound-failed", "sound-failed"], 2, 2, "leaf-further"),
        ("c", ["decided"], 0, 0, "leaf-end"),
        ("c", ["ended", "ended"], 0, 0, "leaf-end"),
        ("c", ["exported"], 0, 0, "leaf-act"),
        ("c", ["decided", "exported"], 0, 0, "leaf-act"),
        ("c", ["duty"], 2, 2, "leaf-act"),
        ("act-1", ["decided", "ended"], 0, 0, None),
        ("act-1", ["exported", "exported"], 0, 0, "leaf-act"),
        ("act-1", ["exported"], 1, 1, "leaf-act"),
    ],
)
def test_a_leaf_follows_the_earlier_ones_of_its_call(call_id, kinds, after, before, rule):
    """The previous leaf is read in the test, or its shape is known from an earlier read."""
    content = leaf(call_id, [step_text(number, "n", kind, 1, "{}") for number, kind in enumerate(kinds, 1)], after)
    shapes = LeafShapes()
    if rule is None:
        check_call(read_leaf(content), before)
        assert [shapes.accept(content, call_id, after) for _ in range(2)] == [True] * 2
        return
    with pytest.raises(RuleError) as told:
        check_call(read_leaf(content), before)
    assert told.value.rule == rule
    assert rule == "leaf-after" or not shapes.accept(content, call_id, before)


GOOD = leaf("c", [step_text(4, "n", "decided", 1, '{"day":"x","registry_version":42}'), STEP], 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("42", "4.2"),
        ("42", "042"),
        ("42", "9007199254740993"),
        ("42", "[42]"),
        ('"x"', '{"a":"x"}'),
        ('"x"', r'"\u0078"'),
        ('"day":"x","registry_version":42', '"registry_version":42,"day":"x"'),
        ('"day":"x"', '"day":"x","day":"x"'),
        ('{"status":"BUSY"}', "[]"),
        ('"at":1', '"at":1.5'),
        ('"kind":"ended"', '"kind":"connected"'),
        ('"kind":"decided"', '"kind":"ended"'),
    ],
)
def test_a_shape_accepts_no_more_than_the_reader(old, new):
    shapes = LeafShapes()
    assert shapes.accept(GOOD, "c", 0)
    assert shapes.accept(GOOD.replace(b"42", b"-7").replace(b'"x"', '"局"'.encode()), "c", 0)
    assert not shapes.accept(GOOD.replace(old.encode(), new.encode()), "c", 0)
    act = leaf("act-1", [STEP.replace("ended", "duty")], 0)
    assert shapes.accept(act, "act-1", 0)
    assert not shapes.accept(act.replace(b"act-1", b"c"), "c", 0)


def test_shapes_are_made_of_few_octets(monkeypatch):
    """Compiling a shape takes a second for each 400 kB, and ten times the memory."""
    made: list[int] = []
    shape = leaf_rules._shape
    monkeypatch.setattr(leaf_rules, "_shape", lambda content: made.append(len(content)) or shape(b"{}"))
    shapes = LeafShapes()
    for sounds, names in ((200, 1), *((each, 20) for each in range(60, 90))):
        for name in range(names):
            texts = [step_text(each, "n", "sound-started", 1, f'{{"{name}":1}}') for each in range(1, sounds)]
            assert shapes.accept(leaf("c", [*texts, step_text(sounds, "n", "ended", 1, "{}")], 0), "c", 0)
    assert 0 < max(made) <= 8_000
    assert sum(made) <= 1_000_000


def test_an_act_names_a_request_that_comes_before_it():
    def act(number: int, kind: str, request: str | None) -> bytes:
        details = "{}" if request is None else f'{{"request":"{request}"}}'
        return leaf(f"act-{number}", [step_text(number, "n", kind, 1, details)], 0)

    rules = LeafRules({}, has_all=True)
    for number, kind, request in (
        (1, "export-requested", None),
        (2, "export-approved", "act-1"),
        (3, "exported", "act-1"),
        (4, "exported", None),
    ):
        rules.add(act(number, kind, request))
    with pytest.raises(RuleError, match="names the request act-6, which does not come before it"):
        rules.add(act(5, "export-approved", "act-6"))


def test_each_step_is_in_one_leaf_and_the_last_steps_are_in_order():
    order = StepOrder()
    for ids in ([1, 4], [2, 5], [3, 8]):
        order.add(ids)
    assert order.steps_without_leaf == 2
    for wrong, fault in (
        ([6, 8], "not after those of the leaf before"),
        ([4, 9], "step 4 is in another leaf"),
        ([11, 10], "step 11 is in another leaf, or not in order"),
        ([AWAITED_LIMIT + 10], "are missing"),
    ):
        with pytest.raises(ProofError, match=fault):
            order.add(wrong)
    order.add([7, 12])
