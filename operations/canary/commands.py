"""`idtone canary`: decides whether a call is due, and prints its result."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated

import typer

from idtone.core.decision import suspended, time_by
from idtone.core.errors import IdtoneError, UsageError
from idtone.core.files import file_lock
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.terminal import command_line
from idtone.core.translation import Message, translated
from idtone.registry.local_registry import read_local_registry
from idtone.service import canary_result
from idtone.service.canary_result import CanaryFault, CanaryResult
from idtone.service.hook_from_settings import canary_listens_s
from idtone.service.service_user import act_as_service
from idtone.tones.profile_library import load_library

from .judge_canary import judge, without_verdict


def canary(
    due: Annotated[
        bool,
        typer.Option(
            "--due", help="Call only if the settings name a canary and its last result is older than canary.every."
        ),
    ] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Call one of your own numbers through the trunk, and check the sound that arrives.

    The call passes through the hook like a customer's call. The answering leg records what arrives, and the verifier
    checks the recording. The call's record is marked, so statistics and `idtone-office misuse` ignore it. The metrics,
    `idtone status` and `idtone doctor` show the result. idtone-canary.timer runs the command with --due every minute.
    Run it as the service's user, or as root, which switches to that user. Exit 1: the expected sound did not arrive;
    the result says why.
    """
    settings = load_settings(config)
    missing = settings.canary.missing
    if due and missing:
        return
    if missing:
        raise UsageError(
            "the settings name no canary: write {keys} under `canary` in idtone.yaml, and export the hook again",
            keys=", ".join(missing),
        )
    act_as_service(config, settings.canary.result.parent, settings.sounds.directory)
    lock = settings.canary.result.with_name(f"{settings.canary.result.name}.lock")
    busy = None if due else UsageError("another canary call is in progress; wait until it has ended")
    with file_lock(lock, busy, canary_result.not_written) as is_alone:
        if not is_alone:
            return
        last = canary_result.read(settings.canary.result)
        if due and last and 0 <= last.age_s(datetime.now(UTC)) < settings.canary.every.total_seconds():
            return
        result = _called(settings, quiet=due)
        canary_result.write(result, settings.canary.result)
    if as_json:
        command_line.print_json(result.to_json())
    else:
        _show(result)
    if not result.good:
        command_line.exit_negative()


def _called(settings: Settings, quiet: bool) -> CanaryResult:
    """Place the call and judge the recording, unless a number is suspended."""
    at = datetime.now(UTC)
    try:
        registry = read_local_registry(settings.registry).index()
    except IdtoneError as error:
        return without_verdict(at, CanaryFault.REGISTRY, str(error))
    if suspended(settings.canary.numbers() or (), registry, time_by(registry, at)):
        return without_verdict(at, CanaryFault.SUSPENDED)
    from ..originate_call import shown_progress  # imports Rich; `--due` mostly needs neither
    from .place_call import place, received_recording  # imports NumPy

    try:
        canary_result.make_folder(settings)
        library = load_library(settings.sounds.profiles)
        with nullcontext(lambda: None) if quiet else shown_progress() as waiting:
            placed = place(settings, canary_listens_s(library), waiting)
    except IdtoneError as error:
        return without_verdict(at, CanaryFault.NOT_PLACED, str(error))
    try:
        return judge(
            placed, settings.canary.expect, lambda profile: received_recording(settings, library.named(profile))
        )
    except IdtoneError as error:
        return without_verdict(at, CanaryFault.SOUND, str(error))


def _show(result: CanaryResult) -> None:
    print(f"{result.verdict}: {translated(result.says)}")
    rows = (
        (Message("expected"), result.expected or ""),
        (Message("decision"), ", ".join(filter(None, (result.outcome, result.reason)))),
        (Message("level"), "" if result.level_dbm0 is None else f"{result.level_dbm0:.1f} dBm0"),
        (Message("call"), result.call_id),
    )
    for name, value in rows:
        if value:
            print(f"  {translated(name)}: {value}")
