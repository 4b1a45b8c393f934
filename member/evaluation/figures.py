"""Figures that a member's node computes from its ledger and signs, and checks for them.

The figures are the content of a signed document of kind `figures`. They include the head of the node's tree, which a
witness cosigned after the period. This head pins down the ledger from which the figures were counted, so the node
cannot change that ledger unnoticed, and an auditor can repeat the count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from idtone.core.errors import ProofError, TrustError
from idtone.core.japan_time import JAPAN
from idtone.core.signed_notes import Note, VerifierKey, cosigned_at
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.leaves import CLOSING
from idtone.ledger.evidence.tally import Part, tally
from idtone.ledger.tree.checkpoints import Checkpoint, verified_checkpoint
from idtone.registry.correspondence.signed_document import SignedDocument
from idtone.registry.model import Days, Moment

from .period import Period

KIND: Final = "figures"
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]


class Month(Model):
    """Counts of calls that began in this month on days in the period, under the rules of `Tally`."""

    month: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")]
    calls: Count
    fallback: Count
    connected: Count
    sent: Count


class Figures(Model):
    """One node's figures.

    `head` is the cosigned checkpoint as a signed note. `began` is the time of the ledger's first step, or None if it is
    empty. `continues` is the name of the tree that this one continues, or None. `missing_steps` is how many steps could
    not be written.
    """

    version: Literal[1] = 1
    period: Days
    head: str
    began: Moment | None
    continues: str | None
    missing_steps: Count
    months: tuple[Month, ...]

    @property
    def span(self) -> Period:
        return Period(self.period.start, self.period.until)

    @property
    def calls(self) -> int:
        return sum(month.calls for month in self.months)

    @property
    def is_whole(self) -> bool:
        """True if the ledger covers the whole period.

        A ledger that continues another one must have begun before the period.
        """
        return self.continues is None or (self.began is not None and self.began <= self.span.begins)

    def content(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """Figures from a document signed by `key`. `checkpoint` is the content of `head`."""

    figures: Figures
    checkpoint: Checkpoint
    key: VerifierKey
    document: str

    @property
    def span(self) -> Period:
        return self.figures.span


def counted_months(records: Iterable[Record], period: Period) -> tuple[Month, ...]:
    """Count completed calls that began in the period, with one row for each of its months."""

    def month_of(at: datetime) -> date:
        return at.astimezone(JAPAN).date().replace(day=1)

    def is_counted(record: Record) -> bool:
        return period.begins <= record.steps[0].at < period.ends and any(step.kind in CLOSING for step in record.steps)

    tallies = {
        f"{each.day:%Y-%m}": each for each in tally(filter(is_counted, records), month_of, frozenset({Part.DAY}))
    }
    rows = []
    for month in period.months:
        found = tallies.get(month)
        names = ("calls", "fallback", "connected", "sent")
        rows.append(Month(month=month, **{name: getattr(found, name) if found else 0 for name in names}))
    return tuple(rows)


def figures_of(document: SignedDocument) -> NodeFigures:
    """Read the figures in a document.

    Raises TrustError unless they are well formed and their head belongs to the signer's tree.
    """
    try:
        figures = Figures.model_validate(dict(document.content))
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise TrustError("the figures are malformed: {field}", field=field) from error
    try:
        note = Note.parse(figures.head.encode())
        origin = note.text.partition("\n")[0]
        checkpoint = verified_checkpoint(note, replace(document.key, name=origin))
    except ProofError as error:
        raise TrustError("the head is not of the ledger whose key signs the figures: {error}", error=error) from error
    return NodeFigures(figures, checkpoint, document.key, document.id)


def cosigned_by(head: str, witnesses: Iterable[VerifierKey]) -> dict[VerifierKey, datetime]:
    """Times of the last cosignatures, by witness that cosigned the head.

    Raises TrustError if a signature is invalid.
    """
    try:
        note = Note.parse(head.encode())
        found: dict[VerifierKey, datetime] = {}
        for key in note.signed_by(witnesses):
            lines = [line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
            found[key] = datetime.fromtimestamp(max(map(cosigned_at, lines)), JAPAN)
    except (ProofError, OverflowError, ValueError) as error:
        raise TrustError("the head has a wrong cosignature: {error}", error=error) from error
    return found


def figures_objection(
    new: NodeFigures,
    witnesses: Sequence[VerifierKey],
    needed: int,
    earlier: Sequence[NodeFigures],
    now: datetime,
) -> Message | None:
    """Reason to refuse the figures, or None if they are accepted.

    `earlier` contains the accepted figures signed by the same key. Raises TrustError if a cosignature is invalid.
    """
    return next(_objections(new, witnesses, needed, earlier, now), None)


def _objections(
    new: NodeFigures,
    witnesses: Sequence[VerifierKey],
    needed: int,
    earlier: Sequence[NodeFigures],
    now: datetime,
) -> Iterator[Message]:
    figures, span, head = new.figures, new.span, new.checkpoint
    if not span.start < span.until:
        yield Message("the period has no day")
    if span.ends > now:
        yield Message("the period is not over")
    if [month.month for month in figures.months] != span.months:
        yield Message("the figures do not have each month of the period once")
    for month in figures.months:
        if max(month.connected, month.fallback) > month.calls or month.sent > month.connected:
            yield Message("the counts of {month} contradict each other", month=month.month)
    if any(at >= now for at in (figures.began,) if at):
        yield Message("the ledger begins in the future")
    late = [at for at in cosigned_by(figures.head, witnesses).values() if at >= span.ends]
    if len(late) < needed:
        yield Message(
            "{count} of the association's witnesses have cosigned the head since the end of the period; {needed} "
            "must have",
            count=len(late),
            needed=needed,
        )
    for each in earlier:
        if each.span != span and each.span.overlaps(span):
            yield Message("the period overlaps the one of earlier figures, {period}", period=str(each.span))
        before = each.checkpoint
        if before.origin == head.origin and (
            (each.span.until <= span.start and before.size > head.size)
            or (before.size == head.size and before.root != head.root)
        ):
            yield Message("the head is not of the tree of the earlier figures {period}", period=str(each.span))
    others = {each.span: each for each in earlier if each.checkpoint.origin == head.origin and each.span != span}
    if sum(each.figures.calls for each in others.values()) + figures.calls > head.size:
        yield Message("the figures of all periods have more calls than the tree has leaves")
    trees = {each.checkpoint.origin for each in earlier}
    if trees and head.origin not in trees and figures.continues not in trees:
        yield Message("the head is of another tree than the earlier figures, and does not continue it")


def figures_doubts(new: NodeFigures, earlier: Iterable[NodeFigures], factor: int) -> Iterator[Message]:
    """Yield questions for the member about unusual figures, none of which prove an error."""
    figures, name = new.figures, new.key.name
    if figures.missing_steps:
        yield Message("{node}: {count} steps could not be written", node=name, count=figures.missing_steps)
    silent = [month.month for month in figures.months if not month.calls]
    if figures.calls and silent:
        yield Message("{node}: no calls in {months}", node=name, months=", ".join(silent))
    last = max(
        (each for each in earlier if each.span.until <= new.span.start), key=lambda each: each.span, default=None
    )
    if last is None:
        return
    rate, before = figures.calls / new.span.days, last.figures.calls / last.span.days
    if rate > factor * before or rate * factor < before:
        yield Message(
            "{node}: {rate:.1f} calls a day, and {before:.1f} in {period}",
            node=name,
            rate=rate,
            before=before,
            period=str(last.span),
        )
    growth = new.checkpoint.size - last.checkpoint.size
    if new.checkpoint.origin == last.checkpoint.origin and growth > 0 and growth > factor * max(figures.calls, 1):
        yield Message(
            "{node}: the tree has {growth} more leaves than at the end of {period}, for {calls} calls",
            node=name,
            growth=growth,
            period=str(last.span),
            calls=figures.calls,
        )
