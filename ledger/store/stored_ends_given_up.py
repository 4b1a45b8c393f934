"""Stored acts that gave up earlier logs' ends, and a check that the service wrote every step."""

from pathlib import Path
from typing import Any, Final

from idtone.core.errors import LedgerError

from ..evidence.leaves import ACT_ID, AFTER_ACTS, StoredStep
from ..evidence.log_ends_given_up import KINDS, EndGivenUp, EndsGivenUp
from ..keys.sealing import LedgerKey
from ..keys.step_key import StepKey
from ..keys.successor_trees import SuccessorTree, SuccessorTrees
from .database import Database, literals, scalar
from .step_macs import StepMacs
from .step_rows import step_of
from .stored_tree import STEP

_ACTS: Final = (
    f"SELECT {STEP}, leaf FROM steps WHERE call_id >= ? AND call_id < ? "  # noqa: S608 - our own words
    f"AND kind IN ({literals(KINDS)}) AND leaf IS NOT NULL ORDER BY id"
)
_PAGE: Final = f"SELECT {STEP}, leaf FROM steps WHERE id > ? ORDER BY id LIMIT 10000"  # noqa: S608 - our own words


def ends_given_up(database: Database, key: StepKey) -> EndsGivenUp:
    """Earlier logs' ends that were given up in acts written by the service.

    Changed and foreign acts are ignored. Raises LedgerError.
    """
    with database.reading() as connection:
        macs = StepMacs(connection, key)
        rows = connection.execute(_ACTS, (ACT_ID, AFTER_ACTS)).fetchall()
        ours = [row[:-1] for row in rows if macs.confirms(StoredStep._make(row[:-1]), row[-1])]
    return EndsGivenUp.of(step_of(StoredStep._make(row), lambda day: None) for row in ours)


def first_foreign_step(database: Database, key: StepKey) -> int | None:
    """Id of the first step that is missing, changed or foreign; None if the service wrote all steps.

    Every step is checked, because a changed act may look like a call's step. Raises LedgerError.
    """
    with database.paged() as connection:
        macs, reached = StepMacs(connection, key), 0
        last = scalar(connection, "SELECT max(last) FROM macs")  # first: the service writes meanwhile
        while rows := connection.execute(_PAGE, (reached,)).fetchall():
            for row in rows:
                reached += 1
                if row[0] != reached or not _is_ours(macs, StoredStep._make(row[:-1]), row[-1]):
                    return reached
    return None if isinstance(last, int) and last <= reached else reached + 1


def _is_ours(macs: StepMacs, step: StoredStep, leaf: Any) -> bool:
    try:
        return macs.confirms(step, leaf)
    except (TypeError, ValueError, AttributeError, OverflowError):  # a cell may contain anything
        return False


def end_given_up(trees: SuccessorTrees, following: SuccessorTree, key: LedgerKey, ledger: Path) -> EndGivenUp | None:
    """The act that gave up the previous log's end; None if there is none.

    The previous log is the one before `following`. The act may be in `following` itself or in a later log. `ledger` is
    the current database. Raises LedgerError if no act is found but one of these logs cannot be read.
    """
    all_trees = trees.trees
    later = all_trees[all_trees.index(following) :]
    files = [*(Path(each.file) for each in later[1:]), ledger]
    _, leaves, root = following.ended
    unread: LedgerError | None = None
    for tree, file in zip(later, files, strict=True):
        try:
            found = ends_given_up(Database.in_file(f"sqlite:///{file}"), key.step_key(tree.origin))
        except LedgerError as error:  # a damaged database may have been moved away
            unread = error
            continue
        given = found.of_log(following.after)
        if given and (given.leaves, given.root) == (leaves, root.hex()):
            return given
    if unread:
        raise unread
    return None
