"""Logs warnings before a registry, licence or certification expires. Calls do not reveal an upcoming expiry."""

import logging
from datetime import datetime, timedelta
from typing import Final

from idtone.core.calls import Licence
from idtone.core.japan_time import JAPAN

from .expiries import CERTIFICATION_SOON
from .index import RegistryIndex
from .licence_lapses import lapse_words, lapses, over_and_soon, remedies

_log = logging.getLogger(__name__)

SOON: Final = timedelta(days=1)
"""Remaining validity at which a warning is logged. The association signs well before the expiry, so if so little time
is left, a newer version was not signed or not fetched.
"""
AGAIN: Final = timedelta(hours=1)
"""How often an unchanged message is repeated."""
DAILY: Final = timedelta(days=1)
_NAMED: Final = 5


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


class ExpiryWarning:
    """Logs upcoming expiries of the registry, of `member`'s licences and of certifications.

    It covers the certifications that the member's numbers depend on, or all certifications if `member` is None. `stale`
    is how long the registry's licences stay valid after it expires.
    """

    def __init__(self, stale: timedelta, member: str | None = None) -> None:
        self._stale = stale
        self._member = member
        self._logged: dict[str, tuple[str, datetime]] = {}
        self._licences: tuple[RegistryIndex, tuple[Licence, ...]] | None = None
        self._lapses: tuple[RegistryIndex, list[tuple[datetime, str]]] | None = None

    def review(self, registry: RegistryIndex | None, now: datetime) -> None:
        """Log each expiry whenever its message changes.

        Repeats an unchanged message every hour for the registry and every day for anything else.
        """
        self._say("registry", self._text(registry, now) if registry else "", now, AGAIN)
        self._say("licence", self._licence(registry, now) if registry else "", now, DAILY)
        self._say("certification", self._certification(registry, now) if registry else "", now, DAILY)

    def _say(self, what: str, text: str, now: datetime, again: timedelta) -> None:
        logged = self._logged.get(what)
        if not text:
            self._logged.pop(what, None)
        elif logged is None or logged[0] != text or now - logged[1] >= again:
            self._logged[what] = text, now
            _log.error("%s", text)

    def _licence(self, registry: RegistryIndex, now: datetime) -> str:
        if self._licences is None or self._licences[0] is not registry:
            self._licences = registry, registry.licences(self._member)
        over, soon = over_and_soon(lapses(self._licences[1], now), now)
        if over:
            return (
                f"a licence HAS LAPSED, and no other one covers the calls ({lapse_words(over)}): they get the notice; "
                f"{remedies(over)}"
            )
        return f"a licence lapses soon ({lapse_words(soon)}): {remedies(soon)}" if soon else ""

    def _certification(self, registry: RegistryIndex, now: datetime) -> str:
        if self._lapses is None or self._lapses[0] is not registry:
            self._lapses = registry, sorted(registry.certification_lapses(self._member))
        lapses = self._lapses[1]
        over = [whose for at, whose in lapses if at <= now]
        if over:
            return (
                f"a certification in the registry HAS LAPSED, or its check is overdue ({_some(over)}): calls of the "
                "numbers that depend on it get chain-unchecked; send the association the notice of the renewed one"
            )
        soon = [(at, whose) for at, whose in lapses if at <= now + CERTIFICATION_SOON]
        if not soon:
            return ""
        return (
            f"a certification in the registry lapses, or its check is due, on {soon[0][0].astimezone(JAPAN).date()} "
            f"({_some([whose for _, whose in soon])}): send the association the notice of the renewed one"
        )

    def _text(self, registry: RegistryIndex, now: datetime) -> str:
        left, what = registry.expires - now, f"registry version {registry.version}"
        if left > SOON:
            return ""
        at = registry.expires.astimezone(JAPAN).isoformat()
        if left > timedelta(0):
            return f"{what} expires at {at}, and there is no newer version: ask the association to publish one"
        if -left < self._stale:
            until = (registry.expires + self._stale).astimezone(JAPAN).isoformat()
            return (
                f"{what} HAS EXPIRED at {at}; its licences stay valid until {until}: "
                "ask the association to publish a newer one"
            )
        return (
            f"{what} HAS EXPIRED at {at}, and no licence is valid any more: the policy for unlicensed numbers "
            "applies to all calls until a newer registry comes; ask the association to publish one"
        )
