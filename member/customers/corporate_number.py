"""The corporate number (法人番号) and its check digit. Pure."""

import re
from typing import Final

_FORM: Final = re.compile(r"[1-9][0-9]{12}")


def check_digit(base: str) -> int:
    """The check digit of a base number of 12 digits, by 法人番号の指定等に関する省令 (Ministry of Finance, 2014).

    From the last digit on, the digits have the weights 1 and 2 alternately.
    """
    weighted = sum(int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(base)))
    return 9 - weighted % 9


def is_corporate_number(text: str) -> bool:
    """True if the text has 13 digits, and the first one is the check digit of the others."""
    return bool(_FORM.fullmatch(text)) and int(text[0]) == check_digit(text[1:])
