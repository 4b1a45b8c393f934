"""Entries of numbers that people type, or paste from a letter or a spreadsheet."""

import pytest

from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import entries_of
from idtone.registry.number_notation import read_span, span_notation

WHOLE = "0312340100-0312340199"


@pytest.mark.parametrize(
    ("typed", "entries"),
    [
        ("0312340100-0312340199", [WHOLE]),
        ("03-1234-0100〜0199", [WHOLE]),  # WAVE DASH
        ("03-1234-0100\uff5e0199", [WHOLE]),  # FULLWIDTH TILDE, as Windows writes it
        ("03-1234-0100 ~ 199", [WHOLE]),
        ("03(1234)0100から0199", [WHOLE]),
        ("03-1234-0100〜03-1234-0199", [WHOLE]),
        ("+81 3-1234-0100〜0199", [WHOLE]),
        ("+81 3-1234-0100〜+81 3-1234-0199", [WHOLE]),
        ("+81-3-1234-0100〜03-1234-0199", [WHOLE]),
        ("03-1234-0100〜+81-3-1234-0199", [WHOLE]),
        ("03-1234-0100から03-1234-0199まで", [WHOLE]),
        ("03-1234-0100から0199まで", [WHOLE]),
        ("03-1234-0100〜110", ["0312340100-0312340110"]),
        ("03-1234-0100 - 03-1234-0199", [WHOLE]),
        ("03-1234-0100\t03-1234-0199", [WHOLE]),  # two cells
        ("(03)1234-0100 \t 0312340199", [WHOLE]),
        ("03 1234 0100", ["0312340100"]),
        ("03-1234-0100〜0199、03-1234-0300", [WHOLE, "0312340300"]),
        ("0312340100〜0199 # Tokyo\n\n050-1234-5678", [WHOLE, "05012345678"]),
        ("0612345*", ["0612345000-0612345999"]),
    ],
)
def test_ranges_as_people_write_them(typed, entries):
    assert [span_notation(read_span(each)) for each in entries_of(typed.splitlines())] == entries


@pytest.mark.parametrize(
    "typed",
    [
        "0312345678 0312348888",
        "03-1234-5678\u300003-1234-8888",  # IDEOGRAPHIC SPACE
        "+81312345678 +81312348888",
        "0312345678  0312348888 0312340000",
        "0312345678\t0312348888\t0312340000",
        "050-1234-5678、0312345678 0312348888",
    ],
)
def test_two_numbers_side_by_side_are_no_range(typed):
    with pytest.raises(UsageError, match="two numbers go on two lines, and a range has a hyphen"):
        entries_of([typed])
