"""The verification report on one ledger, for programs, the terminal and the console."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from idtone.core.errors import LedgerError
from idtone.core.settings.settings import Settings
from idtone.core.signed_notes import Note, VerifierKey
from idtone.core.translation import Message

from ..evidence.log_ends_given_up import KINDS, EndGivenUp, EndsGivenUp
from ..evidence.steps import Step
from ..keys.checkpoint_file import CheckpointFile, cosigned_file
from ..keys.day_keys import DayKeys
from ..keys.key_ring import successor_trees_of
from ..keys.log_keys import LogKeys, same_key
from ..keys.successor_trees import SuccessorTree
from ..store.ledger_reader import LedgerReader
from ..store.sqlite import path_of
from ..store.stored_ends_given_up import end_given_up
from ..tree.checkpoints import Checkpoint
from .verify_ledger import LedgerVerdict, verify_ledger


def verification_report(
    reader: LedgerReader,
    key: VerifierKey,
    key_from: str,
    notes: Sequence[tuple[str, Note]],
    settings: Settings,
    *,
    has_keys: bool,
    arrived: int | None = None,
    progress: Callable[[int, int], None] = lambda steps, total: None,
) -> dict[str, Any]:
    """Verify a ledger, and report the result as a JSON object.

    If `key_from` is `own`, the ledger is also compared with the checkpoints that the node keeps. `notes` are additional
    checkpoints with their sources. `has_keys` is True if the reader has the day keys. `arrived` is the number of leaves
    in a replica, which may lag. `progress` receives the number of steps read and their total. Raises LedgerError.
    """
    is_own = key_from == "own"
    kept = list(_remembered(settings, key)) if is_own else []
    signed = max((Checkpoint.parse(note.text).size for _, note in kept), default=0)
    if arrived is not None:
        kept = [(source, note) for source, note in kept if Checkpoint.parse(note.text).size <= arrived]
    verdict = verify_ledger(
        reader,
        key,
        [*notes, *kept],
        with_days=is_own and has_keys,
        is_latest=is_own and key.name == successor_trees_of(settings.ledger, settings.node).origin,
        progress=progress,
    )
    continues, ending = reader.continuation(), reader.log_end()
    replaced = _replaced(settings, key) if is_own else None
    given_up = None
    if is_own:
        verdict.faults += _key_faults(settings, key, continues, ending)
        given_up, faults = _end(settings, key, verdict, reader.days if has_keys else None)
        verdict.faults += faults
    return {
        "good": not verdict.faults,
        "log": str(key),
        "key_from": key_from,
        "leaves": verdict.leaves,
        "missing_leaves": max(0, signed - verdict.leaves),
        "root": verdict.root.hex(),
        "steps": verdict.steps,
        "open_calls": verdict.open_calls,
        "signed": [{"source": each.source, "leaves": each.checkpoint.size} for each in verdict.signed],
        "continues": dict(continues.details) if continues else None,
        "ended": {**ending.details, "at": ending.at.isoformat()} if ending else None,
        "compromised_after": replaced.ended[1] if replaced and replaced.told.get("compromised") else None,
        "given_up": given_up.to_json() if given_up else None,
        "gives_up": [each.to_json() for each in EndsGivenUp.of(reader.acts(KINDS)).counted],
        "faults": verdict.faults,
    }


def _replaced(settings: Settings, key: VerifierKey) -> SuccessorTree | None:
    """The tree that continues this key's tree under a different key; None if there is none."""
    trees = successor_trees_of(settings.ledger, settings.node).trees
    return next((each for each in trees if each.after == key.name and each.key), None)


def _end(
    settings: Settings, key: VerifierKey, verdict: LedgerVerdict, days: DayKeys | None
) -> tuple[EndGivenUp | None, list[Message]]:
    """The act that gave up an unsigned log's end, if any, and the faults of that end."""
    trees, ledger = successor_trees_of(settings.ledger, settings.node), settings.ledger.own_url()
    following = next((each for each in trees.without_end if each.after == key.name), None)
    if following is None:
        return None, []
    _, leaves, root = following.ended
    faults = []
    if (verdict.leaves, verdict.root) != (leaves, root):
        faults.append(Message("the log ended with {leaves} leaves, and these are not those", leaves=leaves))
    given_up = None
    try:
        given_up = end_given_up(trees, following, days.ledger_key, path_of(ledger)) if days else None
    except LedgerError as error:
        faults.append(Message("whether the end of the log was given up cannot be read: {error}", error=error))
    if given_up:
        return given_up, [*faults, given_up.words]
    if following.given_up and days:
        faults.append(
            Message("{path} says that its end was given up, and no log does", path=settings.ledger.successors_file())
        )
    faults.append(
        Message(
            "the token of its key has not signed its end; {next} names it, and `idtone serve` has it "
            "signed when the token is back",
            next=following.origin,
        )
    )
    return None, faults


def _key_faults(settings: Settings, key: VerifierKey, continues: Step | None, ending: Step | None) -> Iterator[Message]:
    """Yield faults in the keys of neighboring trees.

    The first leaf names the previous tree's key, and the last leaf names the next tree's key. The node must have the
    same keys.
    """
    trees = successor_trees_of(settings.ledger, settings.node)
    keys = LogKeys(settings.ledger, trees)
    following = next((each.origin for each in trees.trees if each.after == key.name), None)
    for told, origin in (
        (continues and continues.details.get("key"), continues and continues.details.get("origin")),
        (following and ending and ending.details.get("next_key"), following),
    ):
        if (
            told
            and origin in trees.origins
            and keys.is_here(str(origin))
            and not same_key(str(told), keys.verifier(str(origin)))
        ):
            yield Message("the tree names another key of {origin} than this node has: {key}", origin=origin, key=told)


def _remembered(settings: Settings, key: VerifierKey) -> Iterator[tuple[str, Note]]:
    """Yield the tree's checkpoints that the node keeps in files, with their sources."""
    ledger = settings.ledger
    for file in (CheckpointFile(ledger.checkpoint_file()), cosigned_file(ledger)):
        if os.access(file.path, os.R_OK) and (latest := file.latest(key)):
            yield str(file.path_for(key)), latest[0]
    for each in successor_trees_of(settings.ledger, settings.node).trees:
        if each.after == key.name and each.checkpoint:
            yield str(settings.ledger.successors_file()), Note.parse(each.checkpoint.encode())
