"""`idtone-failed`: emails about failed systemd units, and about trouble that begins or ends.

It sends the emails with the machine's own sendmail.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextvars import copy_context
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.files import replace_durably
from idtone.core.settings.settings import MAIL_TO, load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.command_line import ConfigOption
from idtone.core.translation import JAPANESE, Message, speak, translated
from idtone.service.status_client import answer, restarts
from idtone.service.troubles import Trouble, troubles

from .trouble_mail_timing import MailedTroubles

LINES: Final = 60
_WITHIN_S: Final = 60.0
_PATH: Final = os.pathsep.join(("/usr/sbin", "/usr/lib", os.defpath))


def failed(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="The systemd unit that has failed.")] = "",
    to: Annotated[
        str,
        typer.Option("--to", metavar="ADDRESS", envvar=MAIL_TO, help="The recipient of the mail.", show_default=True),
    ] = "root",
    config: ConfigOption = None,
) -> None:
    """Send a mail when a systemd unit has failed, with the last lines of its log, using the machine's own sendmail.

    Without UNIT, it checks what `idtone status` checks. It sends one mail when a problem begins, and one when it is
    solved. idtone's units run both (`OnFailure=`, and a timer every 40 seconds). Exit 2: sendmail is missing, or
    rejects the mail.
    """
    if not unit:
        mail_trouble_changes(config, to)
        return
    said = _shown("journalctl", "--unit", unit, "--lines", str(LINES), "--no-pager", "--output", "cat")
    state = _shown("systemctl", "status", "--no-pager", "--lines", "0", unit)
    send(failed_unit_mail(unit, platform.node(), to, state, said, datetime.now(UTC)))


def main() -> None:
    command_line.run(command_line.lone_command(failed))


def mail_trouble_changes(config: Path | None, to: str) -> None:
    """Send an email about trouble that has begun or ended since the last run.

    The record of the run is written only after sendmail has accepted the email. It is in memory: on a full disk it
    could not be written, and a trouble would be mailed never, or by each run. After a restart of the machine, it counts
    for nothing anyway.
    """
    kept = Path(os.environ.get("RUNTIME_DIRECTORY", "/run/idtone-trouble"), "told.json")
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)  # no jump of the clock
    try:
        present = troubles(answer(load_settings(config)), restarts(), datetime.now(UTC))
    except IdtoneError as error:
        present = [Trouble("settings", Message("the settings cannot be used: {error}", error=error))]
    news = MailedTroubles.of(kept.read_bytes() if kept.exists() else b"").after(present, now_s)
    if news.is_worth_a_mail:
        send(trouble_mail(present, platform.node(), to, datetime.now(UTC), news.is_over))
    replace_durably(kept, news.told.to_json())


def trouble_mail(present: Sequence[Trouble], node: str, to: str, now: datetime, is_over: bool = False) -> EmailMessage:
    wrong, soon = ([each for each in present if each.is_warning is expected] for expected in (False, True))
    if wrong:
        subject = "異常が発生しています / trouble"
    elif soon and not is_over:
        subject = "期限が近づいています / act soon"
    else:
        subject = "復旧しました / all is well again"
    made = new_mail(to, f"[idtone] {node}: {subject}", now)
    texts = []
    for language, nothing, advice in (
        (JAPANESE, "現在、異常はありません。", "`idtone status` と `idtone doctor` で状態と対処を確認してください。"),
        ("en", "Nothing is wrong now.", "`idtone status` and `idtone doctor` say how it is, and what to do."),
    ):
        lines = copy_context().run(_said, language, wrong) or [nothing]
        lines += copy_context().run(_said, language, soon)
        texts.append("\n".join([f"{node}:", *lines, "", advice]))
    made.set_content("\n\n".join(texts) + "\n", cte="base64")
    return made


def _said(language: str, present: Sequence[Trouble]) -> list[str]:
    speak(language)
    return [f"- {translated(each.text)}" for each in present]


def new_mail(to: str, subject: str, now: datetime) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["To"], made["Subject"] = to, subject
    made["Date"], made["Auto-Submitted"] = format_datetime(now), "auto-generated"
    return made


def failed_unit_mail(unit: str, node: str, to: str, state: str, said: str, now: datetime) -> EmailMessage:
    """Compose the email about a failed systemd unit, in English and Japanese.

    Both languages are used because the reader's language is unknown.
    """
    made = new_mail(to, f"[idtone] {node}: {unit} が異常終了しました / has failed", now)
    made.set_content(
        f"{node} の {unit} が異常終了しました。`idtone status` と `idtone doctor` で状態を確認してください。\n"
        f"{unit} has failed on {node}. `idtone status` and `idtone doctor` say what is wrong.\n"
        f"\n{state.strip()}\n\n{said.strip()}\n",
        cte="base64",
    )
    return made


def send(message: EmailMessage) -> None:
    """Send an email with the machine's own sendmail.

    Raises UsageError if sendmail is missing or fails.
    """
    program = shutil.which("sendmail", path=_PATH)
    if program is None:
        raise UsageError("there is no sendmail, so nobody gets a mail; install one, for example: apt install msmtp-mta")
    try:
        subprocess.run([program, "-t", "-oi"], input=bytes(message), timeout=_WITHIN_S, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError("{program} does not take the mail: {error}", program=program, error=error) from error
    handed = Message("a mail to {to} was handed to {program}", to=message["To"], program=program)
    print(translated(handed), file=sys.stderr)


def _shown(*command: str) -> str:
    try:
        asked = subprocess.run(  # noqa: S603  the arguments are ours
            ["/usr/bin/env", *command], capture_output=True, timeout=_WITHIN_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{command[0]}: {error}"
    return asked.stdout.decode("utf-8", "replace")
