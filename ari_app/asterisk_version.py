"""Parses Asterisk's version and says which behaviour depends on it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

Numbers = tuple[int, ...]

REST_OVER_WEBSOCKET: Final[Mapping[int, Numbers]] = {20: (20, 14), 21: (21, 9), 22: (22, 4)}
"""Branch → its first version that accepts REST requests over the WebSocket. All later branches accept them."""
PROMPT_STASIS: Final[Mapping[int, Numbers]] = {18: (18, 21), 20: (20, 6), 21: (21, 1)}
"""Branch → its first version whose Stasis() notices a request immediately. Earlier ones check every 200 ms."""

_FORM: Final = re.compile(
    r"(?:Asterisk )?(?:[0-9]+:)?(?:GIT-)?(?P<certified>certified[-/])?"
    r"(?P<numbers>[0-9]{1,4}(?:\.[0-9]{1,4}){0,3})(?![0-9.])(?P<rest>.*)",
    re.ASCII | re.DOTALL,
)
_CANDIDATE: Final = re.compile("[-~](?:rc|pre|beta|alpha)[0-9]")


@dataclass(frozen=True, slots=True)
class AsteriskVersion:
    """A version of Asterisk, such as `22.10.1+dfsg`, `certified-20.7-cert5` or `GIT-22-1a2b3c4`.

    `numbers` is empty for text that names no version. A build from Git has only its branch number, because its age is
    unknown.
    """

    numbers: Numbers
    is_certified: bool = False
    is_candidate: bool = False
    """True if it precedes the release with this number."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse the version text that Asterisk shows over ARI, on its console or for `asterisk -V`."""
        match = _FORM.match(text.strip())
        if not match:
            return cls(())
        numbers = tuple(map(int, match["numbers"].split(".")))
        return cls(numbers, bool(match["certified"]), bool(_CANDIDATE.match(match["rest"])))

    @property
    def branch(self) -> int | None:
        """Number of the release branch, such as 22, or None if the version is unknown."""
        return self.numbers[0] if self.numbers else None

    @property
    def is_release(self) -> bool:
        """True if the version has at least two numbers, so that it can be compared with others."""
        return len(self.numbers) > 1

    @property
    def takes_requests_over_websocket(self) -> bool:
        """True if Asterisk accepts REST requests over the event WebSocket. False for an unknown version."""
        return self._is_from(REST_OVER_WEBSOCKET)

    @property
    def answers_promptly(self) -> bool:
        """True if a channel in Stasis() notices a request immediately. False for an unknown version."""
        return self._is_from(PROMPT_STASIS)

    def _is_from(self, first: Mapping[int, Numbers]) -> bool:
        if not self.numbers:
            return False
        own = first.get(self.numbers[0])
        return self.numbers >= own if own else self.numbers[0] > max(first)
