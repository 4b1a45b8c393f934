"""The doctor's check of the last canary call."""

from datetime import datetime

from idtone.core.settings.canary import CanarySettings
from idtone.core.translation import Message
from idtone.service.canary_result import CanaryResult, is_old

from .findings import Finding, bad, good, warning

TOPIC = "canary"
_START = Message("systemctl enable --now idtone-canary.timer; without systemd, run `idtone canary --due` each minute")


def judge(settings: CanarySettings, last: CanaryResult | None, now: datetime) -> Finding:
    """Check that the last canary call was recent and successful.

    `last` is the last result, if there is one.
    """
    missing = settings.missing
    if len(missing) == len(CanarySettings().missing):
        return good(TOPIC, Message("not used: the settings name no canary"))
    if missing:
        return warning(
            TOPIC,
            Message("the settings lack {keys}, so no canary call is placed", keys=", ".join(missing)),
            Message("Write the keys under `canary` in idtone.yaml, and export the hook again"),
        )
    if last is None:
        return warning(TOPIC, Message("no canary call was placed yet"), _START)
    if not last.good:
        return bad(
            TOPIC,
            Message("{verdict}, at {at}: {says}", verdict=last.verdict, at=f"{last.at:%Y-%m-%d %H:%M}", says=last.says),
            Message("Correct that (docs/how-to/canary.md), then run `idtone canary`"),
        )
    if is_old(last, settings.every.total_seconds(), now):
        found = Message("the last canary call is from {at}, and none was placed since", at=f"{last.at:%Y-%m-%d %H:%M}")
        return warning(TOPIC, found, _START)
    return good(TOPIC, Message("{verdict}, at {at}", verdict=last.verdict, at=f"{last.at:%Y-%m-%d %H:%M}"))
