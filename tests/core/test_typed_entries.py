"""Entries of numbers as people type them, or paste them from a letter or a spreadsheet."""

import pytest

from idtone.core.terminal.asking import entries_of
from idtone.registry.number_notation import read_span, written

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
        ("03-1234-0100\t03-1234-0199", [WHOLE]),  # two cells
        ("0312340100 0312340199", [WHOLE]),
        ("03 1234 0100", ["0312340100"]),
        ("03-1234-0100〜0199、03-1234-0300", [WHOLE, "0312340300"]),
        ("0312340100〜0199 # Tokyo\n\n050-1234-5678", [WHOLE, "05012345678"]),
        ("0612345*", ["0612345000-0612345999"]),
    ],
)
def test_ranges_as_people_write_them(typed, entries):
    assert [written(read_span(each)) for each in entries_of(typed.splitlines())] == entries
