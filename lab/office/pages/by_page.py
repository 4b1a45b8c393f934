"""The year on pages, with the effort of each task."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selenium.common.exceptions import WebDriverException

from .browser_user import UnexpectedPage
from .page_office import PageOffice
from .tasks import TASKS, Task


@dataclass(frozen=True)
class PageEffort:
    """The effort of one task. `fault` is empty if each page had its expected text."""

    name: str
    clicks: int
    typed: int
    seconds: float
    fault: str = ""


def play_by_page(folder: Path, tasks: Sequence[Task] = TASKS) -> list[PageEffort]:
    """Do the tasks in order and return their efforts.

    Stops at the first fault, because later tasks depend on it.
    """
    walked = []
    with PageOffice(folder) as office:
        for task in tasks:
            fault = ""
            with office.hands.counted() as counts:
                try:
                    task.act(office)
                except (UnexpectedPage, WebDriverException) as error:
                    fault = str(error)
                    office.browser.picture(folder / f"fault-{task.name}.png")
            clicks, typed, seconds = counts
            walked.append(PageEffort(task.name, int(clicks), int(typed), round(seconds, 1), fault))
            if fault:
                break
    return walked
