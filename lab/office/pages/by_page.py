"""The year by pages, task by task, with the effort of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selenium.common.exceptions import WebDriverException

from .browser_user import PageFault
from .page_office import PageOffice
from .tasks import TASKS, Task


@dataclass(frozen=True)
class PageEffort:
    """One task and its effort; `fault` is empty if each page had its expected text."""

    name: str
    clicks: int
    typed: int
    seconds: float
    fault: str = ""


def play_by_page(folder: Path, tasks: Sequence[Task] = TASKS) -> list[PageEffort]:
    """The tasks in their order, up to the first fault: the next ones build on it."""
    walked = []
    with PageOffice(folder) as office:
        for task in tasks:
            fault = ""
            with office.hands.counted() as counts:
                try:
                    task.act(office)
                except (PageFault, WebDriverException) as error:
                    fault = str(error)
                    office.browser.picture(folder / f"fault-{task.name}.png")
            clicks, typed, seconds = counts
            walked.append(PageEffort(task.name, int(clicks), int(typed), round(seconds, 1), fault))
            if fault:
                break
    return walked
