"""Settings in `reports.yaml`, the optional file with the report desk's deadlines and limits.

The file is in the authority's folder. The defaults are idtone's own, because the association's values are not public.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from idtone.core.numbers import holds_number
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, ValidationFault, load
from idtone.registry.model import Text

from ..public_form import association_of

FILE: Final = "reports.yaml"
_SHORTEST, _LONGEST = timedelta(hours=1), timedelta(days=365)


class Traceback(Model):
    """Deadline for a member's answer, and maximum number of members asked about one report."""

    answer_within: timedelta = timedelta(days=5)
    members: Annotated[int, Field(ge=1, le=100)] = 8


class Statistics(Model):
    """Limit for published statistics. Counts below `least` are hidden."""

    least: Annotated[int, Field(ge=2, le=1000)] = 5


def _without_number(value: str) -> str:
    if holds_number(value):
        raise ValueError(Message("contains a telephone number"), Message("Name a mail address or a web address"))
    return value


class Page(Model):
    """Settings of the public report page.

    `responsible` is the body responsible for the reports, with its contact; None means the association. `hourly` limits
    requests per hour from all visitors, and `hourly_each` limits them per address.
    """

    responsible: Annotated[Text, AfterValidator(_without_number)] | None = None
    hourly: Annotated[int, Field(ge=1)] = 600
    hourly_each: Annotated[int, Field(ge=1)] = 20


class ReportSettings(Model):
    """Settings in `reports.yaml`.

    `retention` is the time from closing a report until its content is erased. If None, only `report forget` erases
    reports.
    """

    retention: Annotated[timedelta, Field(ge=timedelta(days=1))] | None = None
    traceback: Traceback = Traceback()
    statistics: Statistics = Statistics()
    page: Page = Page()


def read_report_settings(folder: Path) -> ReportSettings:
    """Read `reports.yaml` in a folder, or return the defaults if it is missing.

    Raises DocumentError listing every fault.
    """
    path = folder / FILE
    return load(path, ReportSettings, _faults) if path.exists() else ReportSettings()


def responsible_body(folder: Path, rules: ReportSettings) -> str:
    """Body responsible for the reports, with its contact. Raises IdtoneError."""
    if rules.page.responsible:
        return rules.page.responsible
    return association_of(folder)


def _faults(rules: ReportSettings) -> Iterator[ValidationFault]:
    if not _SHORTEST <= rules.traceback.answer_within <= _LONGEST:
        yield ValidationFault(
            ("traceback", "answer_within"),
            Message("is not a plausible time"),
            Message("Write between PT1H (an hour) and P365D (a year)"),
        )
