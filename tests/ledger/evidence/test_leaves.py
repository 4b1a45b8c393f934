import json

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from idtone.ledger.evidence.leaves import StoredStep, leaf, search_key, search_keys
from idtone.ledger.evidence.steps import CALL_ID_LIMIT, Step, StepKind
from idtone.ledger.store.step_rows import row_of
from lab.ledger.sample_evidence import RING, heard_call

KEY, _ = RING.make("2026-11-01")


def stored(written: list[Step]) -> list[StoredStep]:
    rows = [row_of("pbx-1", step, lambda day: KEY) for step in written]
    return [StoredStep(number, *row.values()) for number, row in enumerate(rows, 1)]


@given(
    st.text(min_size=1, max_size=CALL_ID_LIMIT).filter(str.isprintable),
    st.text(),
    st.integers(0, 3),
    st.integers(-(10**15), 10**15),
)
def test_a_leaf_is_canonical_json_without_numbers(call_id, node, after, at):
    first, *others = stored(heard_call())
    held = [first._replace(node=node, at=at), *others]
    text = leaf(call_id, [step.text for step in held], after)
    value = json.loads(text)
    assert rfc8785.dumps(value) == text
    assert (value["call"], value.get("after", 0)) == (call_id, after)
    assert [step["kind"] for step in value["steps"]] == [step.kind for step in held]
    assert (value["steps"][0]["node"], value["steps"][0]["at"]) == (node, at)
    whole = leaf("c-1", [step.text for step in (first, *others)], 0)
    assert b"312345678" not in whole
    for number in ("9012345679", "5031234567", "5678", "5679", "4567"):
        assert f'"{number}"'.encode() not in whole


def test_a_decision_is_found_by_the_tokens_of_its_numbers_alone():
    decided, *others = stored(heard_call())
    numbers = heard_call()[0].numbers.values()
    assert set(search_keys(decided.kind, decided.details)) == {search_key(KEY.token(number)) for number in numbers}
    assert not any(list(search_keys(step.kind, step.details)) for step in others)
    # A text cannot pretend to be a token.
    (forged,) = stored([Step("c-1", StepKind.DECIDED, heard_call()[0].at, {"why": f'_token":"{"ab" * 16}"'})])
    assert list(search_keys(forged.kind, forged.details)) == []
