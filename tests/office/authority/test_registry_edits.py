"""Assigned and released numbers, compared with sets of numbers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import UsageError
from idtone.office.authority import registry_edits
from idtone.office.authority.yaml_text import YamlText
from idtone.registry.differences import registry_differences
from idtone.registry.number_notation import read_span
from idtone.registry.parsers import parse_registry
from lab.registry.examples import with_numbers

FIRST = 312345000


@st.composite
def entries(draw: st.DrawFn, most: int = 4) -> list[str]:
    """Entries of one member between 0312345000 and 0312345099, in any order, without overlaps."""
    marks = sorted(draw(st.sets(st.integers(0, 99), max_size=2 * most)))
    written = []
    for low, high in zip(marks[::2], marks[1::2], strict=False):
        single = draw(st.booleans())
        written.append(f"0{FIRST + low}" if single else f"0{FIRST + low}-0{FIRST + high}")
    return draw(st.permutations(written))


def held(text: str) -> set[int]:
    member = parse_registry(text.partition("suspensions:")[0], "").members[0]
    return {number for span in map(read_span, member.numbers) for number in range(span.first, span.last + 1)}


def numbers(written: list[str]) -> set[int]:
    return {number for span in map(read_span, written) for number in range(span.first, span.last + 1)}


@given(before=entries(), gone=entries(2), again=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_release_removes_these_numbers_and_no_others(before, gone, again):
    text = with_numbers(before, ["0322222222"]).partition("suspensions:")[0]
    document = parse_registry(text, "")
    if not numbers(gone) <= numbers(before):
        try:
            registry_edits.delete_numbers(YamlText(text), document, "m-0", gone)
        except UsageError:
            return
        raise AssertionError("numbers were released that the member does not hold")
    draft = YamlText(text)
    registry_edits.delete_numbers(draft, document, "m-0", gone)
    after = draft.finish()
    assert held(after) == numbers(before) - numbers(gone)
    assert parse_registry(after, "").members[1] == document.members[1]
    words = list(registry_differences(document, parse_registry(after, "")))
    assert bool(words) == bool(gone)
    assert not any(f"0{number - 81 * 10**9}" in line for line in words for number in numbers(before))
    if again:
        draft = YamlText(after)
        registry_edits.insert_numbers(draft, parse_registry(after, ""), "m-0", gone)
        assert held(draft.finish()) == numbers(before)
