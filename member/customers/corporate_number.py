"""Corporate numbers (法人番号) and their check digits."""

import re
from typing import Final

_FORM: Final = re.compile(r"[1-9][0-9]{12}")


def check_digit(base: str) -> int:
    """Check digit of a 12-digit base number, per 法人番号の指定等に関する省令 (Ministry of Finance, 2014).

    Starting with the last digit, digits are alternately weighted by 1 and 2.
    """
    weighted = sum(int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(base)))
    return 9 - weighted % 9


def is_corporate_number(text: str) -> bool:
    """True if the text has 13 digits and the first is the check digit of the others."""
    return bool(_FORM.fullmatch(text)) and int(text[0]) == check_digit(text[1:])
