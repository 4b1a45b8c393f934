import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from idtone.core.errors import LedgerError
from idtone.ledger.evidence.canonical_json import canonical, check

SCALARS = (
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.floats(1 - 2.0**53, 2.0**53 - 1) | st.text()
)


ASCII = st.text(st.characters(codec="ascii"))


# The second kind goes by a quicker way.
@given(st.dictionaries(st.text(), SCALARS) | st.dictionaries(ASCII, ASCII | st.integers(0, 9)))
def test_it_is_what_the_scheme_says(members):
    assert canonical(members).encode() == rfc8785.dumps(members)


def test_the_example_of_the_rfc():
    """RFC 8785, section 3.2.3: keys are sorted by their UTF-16 code units."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    text = canonical(dict.fromkeys(keys, 0))
    assert text == '{"\\r":0,"1":0,"\u0080":0,"\u00f6":0,"\u20ac":0,"\U0001f600":0,"\ufb33":0}'


@pytest.mark.parametrize("value", [2**53, -(2**53), 10**30, 2.0**53, float("inf"), float("nan"), "\ud800"])
def test_what_has_no_canonical_form_is_refused(value):
    for refusing in (canonical, check):
        with pytest.raises(LedgerError, match="no canonical JSON"):
            refusing({"x": value})
