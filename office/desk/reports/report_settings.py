"""`reports.yaml` in the authority's folder: deadlines and limits of the report desk. The file is optional.

The association's own rules are not public; the defaults are idtone's.
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
    """Deadline of a member's answer, and the most members that are asked for one report."""

    answer_within: timedelta = timedelta(days=5)
    members: Annotated[int, Field(ge=1, le=100)] = 8


class Statistics(Model):
    """Limit for publication: counts below `least` are not shown."""

    least: Annotated[int, Field(ge=2, le=1000)] = 5


def _without_number(value: str) -> str:
    if holds_number(value):
        raise ValueError(Message("contains a telephone number"), Message("Name a mail address or a web address"))
    return value


class Page(Model):
    """Terms of the public page. `responsible` is the body that answers for the reports, with its contact; None: the
    association, by the name in the registry. `hourly` and `hourly_each`: requests of all visitors, and of one address.
    """

    responsible: Annotated[Text, AfterValidator(_without_number)] | None = None
    hourly: Annotated[int, Field(ge=1)] = 600
    hourly_each: Annotated[int, Field(ge=1)] = 20


class ReportSettings(Model):
    """The content of reports.yaml. `retention` is the time that a report is kept after its close; if it is None,
    reports are kept until `report forget`.
    """

    retention: Annotated[timedelta, Field(ge=timedelta(days=1))] | None = None
    traceback: Traceback = Traceback()
    statistics: Statistics = Statistics()
    page: Page = Page()


def read_report_settings(folder: Path) -> ReportSettings:
    """The rules in `reports.yaml` of this folder; the defaults without the file. Raises DocumentError with every
    fault.
    """
    path = folder / FILE
    return load(path, ReportSettings, _faults) if path.exists() else ReportSettings()


def responsible_body(folder: Path, rules: ReportSettings) -> str:
    """The body that answers for the reports, with its contact. Raises IdtoneError."""
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
