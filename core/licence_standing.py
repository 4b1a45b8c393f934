"""Rules for whether a member's licences cover a call."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from .calls import Direction, Licence, LicenceStatus, Reason

# As in `decision`: in Python 3.11 the look-up of an enumeration's member takes long.
_VALID: Final = Reason.LICENCE_VALID
_REVOKED: Final = LicenceStatus.REVOKED
_SUSPENDED: Final = LicenceStatus.SUSPENDED

Judged = tuple[Reason, Licence | None]
"""The reason that follows from a member's licences, with the licence behind it or None."""
_NO_LICENCE: Final[Judged] = (Reason.LICENCE_NONE, None)


def nearest(licences: Sequence[Licence], direction: Direction, now: datetime, tone: str | None = None) -> Judged:
    """The licence that comes closest to allowing the call, with its result.

    If `tone` is given, only licences for that sound are considered.
    """
    closest: Judged = _NO_LICENCE
    for licence in licences:
        if tone is None or licence.tone == tone:
            judged = judge(licence, direction, now), licence
            if closest[1] is None or distance(judged) < distance(closest):
                closest = judged
    return closest


def judge(licence: Licence, direction: Direction, now: datetime) -> Reason:
    """Result for one licence: `LICENCE_VALID` or the reason why it does not cover the call."""
    if licence.status is _REVOKED:
        return Reason.LICENCE_REVOKED
    if now < licence.valid_from:
        return Reason.LICENCE_NOT_YET_VALID
    if now >= licence.valid_until:
        return Reason.LICENCE_EXPIRED
    if licence.status is _SUSPENDED:
        return Reason.LICENCE_SUSPENDED
    since, until = licence.pledged_from, licence.pledged_until
    if since is None or now < since or (until is not None and now >= until):
        return Reason.PLEDGE_MISSING
    if direction not in licence.directions:
        return Reason.DIRECTION_NOT_COVERED
    return _VALID


_CLOSENESS: Final = {
    reason: rank
    for rank, reason in enumerate(
        (
            Reason.LICENCE_VALID,
            Reason.DIRECTION_NOT_COVERED,
            Reason.PLEDGE_MISSING,
            Reason.LICENCE_SUSPENDED,
            Reason.LICENCE_EXPIRED,
            Reason.LICENCE_NOT_YET_VALID,
            Reason.LICENCE_REVOKED,
        )
    )
}
"""How close each reason is to allowing the call. Of several licences, the closest one determines the reason."""


def distance(judged: Judged) -> int:
    """Rank of a result; 0 allows the call. Reasons that no licence can change have the highest rank."""
    return _CLOSENESS.get(judged[0], len(_CLOSENESS))
