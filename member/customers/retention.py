"""Destroys customer forms automatically after their retention period. Run by the service."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from functools import partial
from typing import Final

from idtone.core.daemon_thread import in_daemon
from idtone.core.errors import IdtoneError
from idtone.core.japan_time import JAPAN
from idtone.core.log_output import in_words
from idtone.core.persons import acting_person
from idtone.core.settings.settings import Settings
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.act_ids import new_act_id
from idtone.ledger.evidence.evidence import Evidence
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.store.ledger_reader import LedgerReader

from .form_rules import load_rules
from .record_history import FormAct, RecordHistory, histories
from .record_store import RecordFolder

LOOK_EVERY_S: Final = 3600.0

_log = logging.getLogger(__name__)


async def forget_in_time(
    settings: Settings, evidence: Evidence, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> None:
    """Destroy forms whose retention period is over, repeatedly until the task is cancelled.

    A cancelled task does not wait for the folder's lock, because a command may hold it while it waits for a person's
    answer.
    """
    while True:
        try:
            due = in_daemon(partial(forget_due, settings, evidence, now()), "forgetting customers' forms")
            if forgotten := await asyncio.wrap_future(due):
                _log.info("the customers' forms whose time is over are forgotten: %s", ", ".join(forgotten))
        except (IdtoneError, OSError) as error:
            _log.error("customers' forms whose time is over cannot be forgotten: %s", in_words(error))
        await asyncio.sleep(LOOK_EVERY_S)


def forget_due(settings: Settings, evidence: Evidence, now: datetime) -> list[str]:
    """Destroy forms whose retention period is over and return their ids. Blocks.

    Raises IdtoneError, or OSError if the folder cannot be used.
    """
    if not settings.customers.directory.exists():
        return []
    folder = RecordFolder(settings.customers.directory)
    with folder.locked():
        with LedgerReader.open(settings.ledger.own_url()) as reader:
            known = histories(reader.acts(frozenset({StepKind.DUTY})), now).values()

        def enter(each: RecordHistory) -> None:
            act = steps.duty(new_act_id(), now, acting_person(), FormAct.FORGOTTEN, each.id, {"ended": str(each.ends)})
            evidence.append(act).result()

        years = load_rules(settings.customers.rules).keep_years
        return forget_over(folder, known, years, now.astimezone(JAPAN).date(), enter)


def forget_over(
    folder: RecordFolder,
    known: Iterable[RecordHistory],
    years: int,
    today: date,
    enter: Callable[[RecordHistory], None],
) -> list[str]:
    """Destroy forms whose retention period is over and return the ids of those not already forgotten.

    The folder must be locked. `enter` records the act first, so that the ledger contains it even if destruction is
    interrupted. Forms already recorded as forgotten are destroyed again, because an earlier attempt may have been
    interrupted.
    """
    over = [each for each in known if each.is_over(years, today)]
    due = [each for each in over if each.forgotten is None]
    for each in over:
        if each.forgotten is None:
            enter(each)
        folder.destroy(each.id)
    return [each.id for each in due]
