"""Edits of a YAML text: they make the intended change and no other."""

import difflib
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import UsageError
from idtone.core.yaml_documents import read_tree
from idtone.office.authority import yaml_text
from lab.registry.examples import GOOD

WRITTEN = """\
# above
members:          # of them
    # the first
    - id: one     # here
      numbers:
      - "0311111111"   # a
      # between
      - '0322222222'

      # after the numbers
    - {id: two, numbers: ["0333333333", "0344444444"], more: }   # in a line
    - id: three
      numbers: []   # none yet
    - id: four
      numbers:      # nothing

# the end
last: {a: 1}
"""


def tree(text: str) -> Any:
    return read_tree(text, "test")


def lines_lost(before: str, after: str) -> list[str]:
    """Lines of `before` that are not in `after`."""
    return [line[2:] for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line.startswith("- ")]


def test_an_item_goes_below_the_last_one():
    for member, added in ((0, '      - "0355555555"'), (2, '        - "0355555555"'), (3, '        - "0355555555"')):
        after = yaml_text.append_items(WRITTEN, ("members", member, "numbers"), ["0355555555"])
        expected = tree(WRITTEN)
        held = expected["members"][member]
        held["numbers"] = [*(held["numbers"] or ()), "0355555555"]
        assert tree(after) == expected
        assert added in after.splitlines()
        assert lines_lost(WRITTEN, after) == (["      numbers: []   # none yet"] if member == 2 else [])
        for comment in ("# above", "# between", "# after the numbers", "# none yet", "# nothing", "# the end"):
            assert comment in after


def test_an_item_goes_into_the_line_of_a_list_in_one_line():
    after = yaml_text.append_items(WRITTEN, ("members", 1, "numbers"), ["0355555555", "0366666666"])
    assert '["0333333333", "0344444444", "0355555555", "0366666666"], more: }   # in a line' in after
    assert lines_lost(WRITTEN, after) == [WRITTEN.splitlines()[10]]
    assert yaml_text.append_items("a:\n  - {b: []}\n", ("a", 0, "b"), ["c"]) == "a:\n  - {b: [c]}\n"


def test_an_item_is_removed_with_its_own_lines():
    for location, lost in (
        (("members", 0, "numbers", 0), ['      - "0311111111"   # a']),
        (("members", 0, "numbers", 1), ["      - '0322222222'"]),
        (("members", 1), [WRITTEN.splitlines()[10]]),
        (("members", 3), WRITTEN.splitlines()[13:15]),
    ):
        after = yaml_text.remove_items(WRITTEN, location[:-1], location[-1:])
        expected = held = tree(WRITTEN)
        for step in location[:-1]:
            held = held[step]
        del held[location[-1]]
        assert tree(after) == expected
        assert lines_lost(WRITTEN, after) == lost


def test_the_last_item_leaves_an_empty_list_and_others_take_their_commas():
    text = "a:   # why\n  # what\n  - one\nb: [two]\n"
    after = yaml_text.remove_items(yaml_text.remove_items(text, ("a",), [0]), ("b",), [0])
    assert after == "a: []   # why\n  # what\nb: []\n"
    assert yaml_text.append_items(after, ("a",), ["three"]) == "a:   # why\n  - three\n  # what\nb: []\n"
    for at, expected in ((0, "[b, c]"), (1, "[a, c]"), (2, "[a, b]")):
        assert yaml_text.remove_items("x: [a, b, c]\n", ("x",), [at]) == f"x: {expected}\n"


@pytest.mark.parametrize("style", ["x: [a, b, c, d]\ny: e\n", "x:\n  - a\n  - b  # why\n  # c\n  - c\n  - d\ny: e\n"])
def test_several_items_are_removed_at_once(style):
    for count in range(5):
        for gone in itertools.combinations(range(4), count):
            text = yaml_text.YamlText(style)
            text.remove_items(("x",), gone)
            assert tree(text.finish()) == {"x": [each for n, each in enumerate("abcd") if n not in gone], "y": "e"}


def test_a_value_is_read_without_the_rest():
    assert yaml_text.read_value("a: {b: '1', c: 2}\nd: [\n", ("a", "b")) == "1"
    with pytest.raises(UsageError):
        yaml_text.read_value("a: 1\n", ("b",))


@pytest.mark.parametrize(
    "before", ["a: [x, y]  # why\nb: c\n", "a:  # why\n  - x\n  # of y\n  - y\n# of b\nb: c\n", "b: c\n"]
)
def test_a_list_is_written_anew(before):
    for items in ([], ["z"], [{"m": "1"}, {"m": "2"}]):
        text = yaml_text.YamlText(before)
        text.replace_list("a", items)
        expected = {"b": "c", "a": items} if items or "a" in before else {"b": "c"}
        assert tree(text.finish()) == expected
        assert ("# of b" in text.text) == ("# of b" in before)


def test_a_value_is_replaced_in_place():
    after = yaml_text.replace_value(GOOD, ("members", 0, "licences", 0, "status"), "revoked")
    assert after == GOOD.replace("status: active", "status: revoked")
    assert yaml_text.replace_value("a: 'b'  # c\n", ("a",), "on") == 'a: "on"  # c\n'
    assert yaml_text.replace_value("a:\nb: c\n", ("a",), "d") == "a: d\nb: c\n"


def test_a_key_goes_below_the_others():
    after = yaml_text.add_key(WRITTEN, ("members", 0), "pledge", {"signed": "2026-01-01"})
    assert '      pledge: {signed: "2026-01-01"}' in after.splitlines()
    assert lines_lost(WRITTEN, after) == []
    assert tree(yaml_text.add_key(WRITTEN, ("members", 1), "x", ["y"]))["members"][1]["x"] == ["y"]
    assert tree(yaml_text.add_key(WRITTEN, ("last",), "b", "2"))["last"] == {"a": "1", "b": "2"}
    assert tree(yaml_text.add_key(WRITTEN, (), "suspensions", [{"number": "0"}]))["suspensions"] == [{"number": "0"}]


def test_a_missing_place_is_reported():
    with pytest.raises(UsageError, match=r"members\[9\]"):
        yaml_text.replace_value(WRITTEN, ("members", 9), "x")


TEXTS = st.text("abc01 :#-'\"{}[],&*!|>%@`電話", min_size=1, max_size=8)
TREES = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("pqrst"), inner, max_size=3),
    max_leaves=8,
)


@given(before=st.lists(TREES, max_size=3), items=st.lists(TREES, min_size=1, max_size=2), flow=st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_is_appended_is_read_back(before, items, flow):
    text = "list: []  # c\nother: x\n" if not before else f"list: {yaml_text._flow(before)}\nother: x\n"
    if not flow:
        text = yaml_text.append_items("list: []  # c\nother: x\n", ("list",), before) if before else text
    assert tree(text)["list"] == before
    after = yaml_text.append_items(text, ("list",), items)
    assert tree(after) == {"list": [*before, *items], "other": "x"}
    for at in range(len(before) + len(items)):
        without = [*before, *items]
        del without[at]
        assert tree(yaml_text.remove_items(after, ("list",), [at])) == {"list": without, "other": "x"}
    assert tree(yaml_text.replace_value(after, ("other",), "y: z"))["other"] == "y: z"
