"""`idtone failed`: a mail that a unit of systemd has failed, by the machine's own sendmail."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Final

import typer

from idtone.errors import UsageError
from idtone.translation import Message, translated

TO: Final = "IDTONE_MAIL_TO"
"""The environment variable with the receiver of the mails."""
LINES: Final = 60
_WITHIN_S: Final = 60.0
_PATH: Final = os.pathsep.join(("/usr/sbin", "/usr/lib", os.defpath))


def failed(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="The unit of systemd that has failed.")],
    to: Annotated[
        str, typer.Option("--to", metavar="ADDRESS", envvar=TO, help="Who gets the mail.", show_default=True)
    ] = "root",
) -> None:
    """Send a mail that a unit of systemd has failed, with the last lines of its log, by the machine's own sendmail.

    idtone's units run it (`OnFailure=`). Exit 2: there is no sendmail, or it does not take the mail.
    """
    said = _shown("journalctl", "--unit", unit, "--lines", str(LINES), "--no-pager", "--output", "cat")
    state = _shown("systemctl", "status", "--no-pager", "--lines", "0", unit)
    send(mail(unit, platform.node(), to, state, said, datetime.now(UTC)))


def mail(unit: str, node: str, to: str, state: str, said: str, now: datetime) -> EmailMessage:
    """The mail, in both languages: who reads it at night has no settings of a language. Pure."""
    made = EmailMessage(policy=SMTP)
    made["To"], made["Subject"] = to, f"[idtone] {node}: {unit} が異常終了しました / has failed"
    made["Date"], made["Auto-Submitted"] = format_datetime(now), "auto-generated"
    made.set_content(
        f"{node} の {unit} が異常終了しました。`idtone status` と `idtone doctor` で状態を確認してください。\n"
        f"{unit} has failed on {node}. `idtone status` and `idtone doctor` say what is wrong.\n"
        f"\n{state.strip()}\n\n{said.strip()}\n",
        cte="base64",
    )
    return made


def send(message: EmailMessage) -> None:
    """Raises UsageError if there is no sendmail, or it fails."""
    program = shutil.which("sendmail", path=_PATH)
    if program is None:
        raise UsageError(
            Message("there is no sendmail, so nobody gets a mail; install one, for example: apt install msmtp-mta")
        )
    try:
        subprocess.run([program, "-t", "-oi"], input=bytes(message), timeout=_WITHIN_S, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(Message("{program} does not take the mail: {error}", program=program, error=error)) from error
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
