"""The registry for decisions: looks up the licences or the suspension of a number."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from idtone.calls import Licence, Suspension, Trust
from idtone.numbers import Number, parse_japanese

from .compiled import Compiled, compiled, utc
from .model import RegistryDocument, SuspensionEntry, SuspensionsDocument


@dataclass(frozen=True, slots=True)
class Signed:
    """What the association signs separately from the members: the suspensions, and the expiry of the whole."""

    suspensions: SuspensionsDocument
    expires: datetime


class RegistryIndex:
    """One generation of the registry; immutable. Implements `idtone.decision.Registry`."""

    __slots__ = ("_compiled", "_expires", "_issued", "_suspensions", "_tones", "_trust")

    def __init__(self, document: RegistryDocument, signed: Signed | None = None) -> None:
        """`document` must have passed `rules.registry_faults`; an unreadable number raises NumberError here.

        With `signed`, the suspensions come from it, not from the document.
        """
        self._hold(compiled(document), document.suspensions, signed)

    @classmethod
    def of(cls, ready: Compiled, signed: Signed) -> RegistryIndex:
        """The index of a compiled registry."""
        index = cls.__new__(cls)
        index._hold(ready, (), signed)
        return index

    def renewed(self, signed: Signed) -> RegistryIndex:
        """A generation with the same members and other suspensions or another expiry; it costs almost no time."""
        other = copy.copy(self)
        other._hold(self._compiled, (), signed)
        return other

    def _hold(self, ready: Compiled, suspensions: Iterable[SuspensionEntry], signed: Signed | None) -> None:
        self._compiled = ready
        self._tones = MappingProxyType(ready.tones)
        self._trust = Trust.SIGNED if signed else Trust.UNSIGNED
        self._issued = max(ready.issued, utc(signed.suspensions.issued)) if signed else ready.issued
        self._expires = min(ready.expires, utc(signed.expires)) if signed else ready.expires
        entries = signed.suspensions.suspensions if signed else suspensions
        self._suspensions = {
            suspension.number.e164: suspension
            for suspension in (
                Suspension(parse_japanese(entry.number), utc(entry.since), entry.reference) for entry in entries
            )
        }

    def __repr__(self) -> str:
        return f"<RegistryIndex version {self.version}>"

    @property
    def version(self) -> int:
        return self._compiled.version

    @property
    def trust(self) -> Trust:
        return self._trust

    @property
    def issued(self) -> datetime:
        return self._issued

    @property
    def expires(self) -> datetime:
        return self._expires

    @property
    def tones(self) -> Mapping[str, str | None]:
        """Tone id → SHA-256 of its master; None for a sound that is not a recording."""
        return self._tones

    def suspension(self, number: Number) -> Suspension | None:
        """The suspension of `number`, current or future; None if there is no such suspension."""
        return self._suspensions.get(number.e164)

    def suspensions(self) -> Iterator[Suspension]:
        """All suspensions, in the order of the file."""
        return iter(self._suspensions.values())

    def licences(self, number: Number) -> Sequence[Licence] | None:
        """The licences of the member that holds `number`; None if no member holds it."""
        holder = self._holder(number)
        return None if holder is None else self._compiled.licences[holder]

    def member(self, number: Number) -> str | None:
        """The id of the member that holds `number`; None if no member holds it."""
        holder = self._holder(number)
        return None if holder is None else self._compiled.members[holder]

    def _holder(self, number: Number) -> int | None:
        # int() takes the '+'; an emergency number is below every other
        return self._compiled.spans.holder(int(number.e164)) if number.e164 else None
