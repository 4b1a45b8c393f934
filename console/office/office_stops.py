"""The state of each stop according to the office's files.

It depends on which files contain the stop, since when, and which nodes have confirmed it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from idtone.office.authority.history import Action, HistoryEntry
from idtone.office.authority.signed_history import HistorySignature
from idtone.office.desk.suspension_confirmations import Confirmation
from idtone.registry.differences import ended_reference, never_originates_differences, suspension_differences
from idtone.registry.model import (
    NeverOriginatesDocument,
    NeverOriginatesEntry,
    SuspensionEntry,
    SuspensionKind,
    SuspensionsDocument,
)

from ..stop_states import Stage, StopFacts, StopState, stages
from .office_files import HistoryLine, Stops

E = TypeVar("E", bound=SuspensionEntry | NeverOriginatesEntry)
_ENDS: Final = frozenset({Action.LIFT, Action.ALLOW_NEW_NUMBERS, Action.REMOVE_NEVER_ORIGINATING})


@dataclass(frozen=True, slots=True)
class OfficeStop(Generic[E]):
    """A stop with its stages.

    If only the published edition still contains its entry, the end of the stop is not published yet.
    """

    entry: E
    stages: Sequence[Stage]
    began: HistoryEntry | None = None
    """The history entry that records the start, or None if there is no such entry."""
    ended: HistoryEntry | None = None


@dataclass(frozen=True, slots=True)
class PublishedEnd:
    """The end of a stop or never-originating entry, as described in the history.

    `is_partial` is True if the rest of a range stays suspended.
    """

    what: Sequence[str]
    is_partial: bool
    stages: Sequence[Stage]


class OfficeStops:
    def __init__(
        self,
        history: Iterable[HistoryLine],
        written: Callable[[str, int], datetime | None],
        published: Stops | None,
        signed: Stops | None,
    ) -> None:
        """`written` returns when a version of a role was written.

        `signed` contains the stops in a fully signed package.
        """
        self._history = list(history)
        self._by_words = {words: line for line in self._history for words in line[0].what}
        """The latest history line for each description of a change."""
        self._written = written
        self._published, self._signed = published, signed

    def suspensions(
        self, entries: Iterable[SuspensionEntry], confirmations: Iterable[Confirmation], now: datetime
    ) -> list[OfficeStop[SuspensionEntry]]:
        """Suspensions in file order, followed by those whose end is not published."""
        nodes: dict[str, list[datetime | None]] = {}
        for each in confirmations:
            nodes.setdefault(each.reference, []).append(each.in_use)

        def confirmed(entry: SuspensionEntry) -> Sequence[datetime | None]:
            return nodes.get(entry.reference, ()) if entry.kind is SuspensionKind.STOP else ()

        published, signed = (each.suspensions.suspensions if each else None for each in (self._published, self._signed))
        return list(self._stops(entries, published, signed, _of_suspension, confirmed, now))

    def never_originating(
        self, entries: Iterable[NeverOriginatesEntry], limit: int, now: datetime
    ) -> list[OfficeStop[NeverOriginatesEntry]]:
        """The last `limit` entries for never-originating numbers, with their stages."""
        published, signed = (
            each.never_originates.never_originates if each and each.never_originates else None
            for each in (self._published, self._signed)
        )
        return list(self._stops(entries, published, signed, _of_number, lambda _: (), now, limit))

    def published_ends(
        self, since: datetime, confirmations: Iterable[Confirmation], now: datetime
    ) -> list[PublishedEnd]:
        """Published ends that were approved at or after `since`, newest first.

        Node confirmations count for the newest end with the same reference.
        """
        nodes: dict[str, list[datetime | None]] = {}
        for each in confirmations:
            if each.is_lifted and (each.in_use or each.lifted):
                nodes.setdefault(each.reference, []).append(each.lifted)
        found = []
        for entry, signature in reversed(self._history):
            if entry.action not in _ENDS or signature is None or entry.at < since:
                continue
            references = {words: reference for words in entry.what if (reference := ended_reference(words))}
            ends = list(references)
            released = [at for each in set(references.values()) for at in nodes.pop(each, ())]
            facts = StopFacts({StopState.END_PUBLISHED: self._at(signature)}, released=released)
            found.append(PublishedEnd(ends, len(ends) < len(entry.what), stages(facts, now)))
        return found

    def _stops(
        self,
        entries: Iterable[E],
        published: Sequence[E] | None,
        signed: Sequence[E] | None,
        words: Callable[[E], tuple[str, str]],
        confirmed: Callable[[E], Sequence[datetime | None]],
        now: datetime,
        limit: int = 0,
    ) -> Iterator[OfficeStop[E]]:
        """Yield the last `limit` entries (0 for all) with their stages, followed by entries that are only published.

        `words` returns the history's descriptions of the start and the end of an entry.
        """
        in_file: dict[E, None] = dict.fromkeys(entries)
        in_published, in_signed = set(published or ()), set(signed or ())
        signed_at = self._signed.at if self._signed else None
        for entry in (*[*in_file][-limit:], *(each for each in published or () if each not in in_file)):
            began, ended = map(self._by_words.get, words(entry))
            reached: dict[StopState, datetime | None] = {StopState.APPROVED: began[0].at if began else None}
            if entry in in_published:
                reached[StopState.PUBLISHED] = self._at(began[1]) if began else None
            elif entry in in_signed:
                reached[StopState.SIGNED] = signed_at
            if entry not in in_file:
                reached[StopState.END_APPROVED] = ended[0].at if ended else None
                if signed is not None and entry not in in_signed:
                    reached[StopState.END_SIGNED] = signed_at
            nodes = confirmed(entry) if entry in in_published else ()
            yield OfficeStop(
                entry,
                stages(StopFacts(reached, nodes, (), entry.since, entry.until), now),
                began[0] if began else None,
                ended[0] if ended and entry not in in_file else None,
            )

    def _at(self, signature: HistorySignature | None) -> datetime | None:
        return self._written(signature.role, signature.version) if signature else None


def _of_suspension(entry: SuspensionEntry) -> tuple[str, str]:
    without = SuspensionsDocument(issued=entry.since)
    with_it = without.model_copy(update={"suspensions": (entry,)})
    return next(suspension_differences(without, with_it)), next(suspension_differences(with_it, without))


def _of_number(entry: NeverOriginatesEntry) -> tuple[str, str]:
    without = NeverOriginatesDocument(issued=entry.since)
    with_it = without.model_copy(update={"never_originates": (entry,)})
    return next(never_originates_differences(without, with_it)), next(never_originates_differences(with_it, without))
