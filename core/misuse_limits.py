"""The limits that the misuse rules apply, from `config/misuse.yaml` or the operator's own file."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from .translation import Message
from .yaml_documents import Model, ValidationFault, load, parse

SHIPPED: Final = "misuse.yaml"
_SIZE_LIMIT: Final = 64 * 1024

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Minutes = Annotated[int, Field(ge=1, le=24 * 60)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Rate = Annotated[float, Field(gt=0, le=1_000_000)]
Times = Annotated[float, Field(ge=1, le=1000)]
Hour = Annotated[int, Field(ge=0, le=23)]


class RuleLimits(Model):
    """Limits of one rule. Results with fewer than `at_least` calls are not reported."""

    enabled: bool = True
    at_least: Count


class ShortCalls(RuleLimits):
    within_minutes: Minutes
    shorter_than_s: Seconds
    usual_share: Share


class ManyCalled(RuleLimits):
    usual_per_hour: Rate


class Pings(RuleLimits):
    within_minutes: Minutes
    rings_below_s: Seconds
    usual_share: Share


class Refusals(RuleLimits):
    usual_per_day: Rate


class AfterSuspension(RuleLimits):
    pass


class Rotation(RuleLimits):
    numbers_at_least: Annotated[int, Field(ge=2, le=100)]


class NightAbroad(RuleLimits):
    """Limits for international calls at night. The hours are in Japan Standard Time."""

    from_hour: Hour
    until_hour: Hour
    usual_share: Share


class NumberSurge(RuleLimits):
    hours_at_least: Annotated[int, Field(ge=1, le=23)]
    usual_per_hour: Rate
    times: Times


class LicenceSurge(RuleLimits):
    past_days: Annotated[int, Field(ge=1, le=366)]
    days_at_least: Annotated[int, Field(ge=1, le=366)]
    usual_per_day: Rate
    times: Times


class Limits(Model):
    """Limits of all misuse rules.

    `false_alarm` is the accepted probability that ordinary calls exceed a limit by chance, per rule, subject and day.
    """

    false_alarm: Annotated[float, Field(gt=0, le=0.05)]
    short_calls: ShortCalls
    many_called: ManyCalled
    pings: Pings
    refusals: Refusals
    after_suspension: AfterSuspension
    rotation: Rotation
    night_abroad: NightAbroad
    number_surge: NumberSurge
    licence_surge: LicenceSurge


def load_limits(path: Path | None) -> Limits:
    """Load the limits from a file, or idtone's default limits if `path` is None. Raises DocumentError."""
    if path is None:
        text = (resources.files("idtone.config") / SHIPPED).read_text(encoding="utf-8")
        return parse(text, SHIPPED, Limits, _faults)
    return load(path, Limits, _faults, size_limit=_SIZE_LIMIT)


def _faults(limits: Limits) -> Iterator[ValidationFault]:
    if limits.licence_surge.days_at_least > limits.licence_surge.past_days:
        yield ValidationFault(
            ("licence_surge", "days_at_least"),
            Message("is larger than past_days"),
            Message("Compare with at least as many days as are needed"),
        )
    if limits.night_abroad.from_hour == limits.night_abroad.until_hour:
        yield ValidationFault(
            ("night_abroad", "until_hour"),
            Message("is the same as from_hour"),
            Message("Write the hour at which the night ends, for example 6"),
        )
