"""Finds telephone numbers in texts that must not show them."""

import re


def shows(text: str, number: str) -> bool:
    """True if the text contains a Japanese number, or its last four digits as a word.

    Four digits inside a hash, a token or a time are no number.
    """
    return number.removeprefix("0") in text or bool(re.search(rf"(?<![\w.]){number[-4:]}(?!\w)", text))
