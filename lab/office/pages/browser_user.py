"""A person's acts in a browser: clicks, choices and typing. They are counted."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from lab.console.browser.browser import Browser

WAIT_S: Final = 120
_BUSY: Final = "return document.readyState !== 'complete' || window.left === true"


class UnexpectedPage(Exception):
    """A page lacks the expected text, choice or element."""


@dataclass
class BrowserUser:
    """A person's acts in the browser.

    `clicks` counts links, buttons, folds, choices and files. `typed` counts the fields with typed text.
    """

    browser: Browser
    downloads: Path
    clicks: int = 0
    typed: int = 0

    def __post_init__(self) -> None:
        self.browser.driver.set_page_load_timeout(WAIT_S)
        self.browser.driver.set_script_timeout(WAIT_S)
        self.downloads.mkdir(parents=True, exist_ok=True)
        self.browser.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(self.downloads)}
        )

    def open(self, address: str) -> None:
        """Open an address from a bookmark or a message, which counts as one click."""
        self.clicks += 1
        self.browser.driver.get(address)

    def click(self, selector: str) -> None:
        """Follow a link or press a button, and wait for the next page."""
        self.clicks += 1
        found = self.element(selector)
        self.browser.driver.execute_script("window.left = true; arguments[0].scrollIntoView({block: 'center'})", found)
        found.click()
        self._settle()

    def menu(self, path: str) -> None:
        self.click(f"body > nav a[href='{path}']")

    def act(self, action: str, fields: Mapping[str, str], button: str = "button:not([name])") -> None:
        """Fill in the form that posts to `action`, and send it. Expands the form first if it is collapsed."""
        self.send(f"main form[action='{action}']", fields, button)

    def send(self, form: str, fields: Mapping[str, str], button: str = "button") -> None:
        self._fill_form(form, fields)
        self.click(f"{form} {button}")

    def download(self, selector: str, button: str = "") -> Path:
        """Download the file behind a link or a form's button, and return its path."""
        before = self._files()
        self.clicks += 1
        found = self.element(f"{selector} {button}".strip())
        self.browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        found.click()
        return self._downloaded(before)

    def print_form(self, action: str, fields: Mapping[str, str]) -> Path:
        """Fill in a form and download the file that it returns."""
        form = f"main form[action='{action}']"
        self._fill_form(form, fields)
        return self.download(form, "button")

    def expect(self, *texts: str) -> str:
        """The text of the page, which must contain these texts. Raises UnexpectedPage."""
        text = str(self.browser.driver.execute_script("return document.body.innerText"))
        for each in texts:
            if each not in text:
                raise UnexpectedPage(f"the page does not say {each!r}:\n{text[:3000]}")
        return text

    @contextmanager
    def counted(self) -> Iterator[list[float]]:
        """Context that counts clicks, typed fields and seconds. Yields a list that is filled at the end."""
        clicks, typed, began_s = self.clicks, self.typed, time.monotonic()
        counts: list[float] = []
        yield counts
        counts += [self.clicks - clicks, self.typed - typed, time.monotonic() - began_s]

    def _fill_form(self, form: str, fields: Mapping[str, str]) -> None:
        held = self.element(form, is_shown=False)
        if not self.browser.driver.execute_script("return arguments[0].checkVisibility()", held):
            self.clicks += 1
            self.browser.driver.execute_script("arguments[0].closest('details').open = true", held)
        for name, value in fields.items():
            self._fill(held.find_element(By.CSS_SELECTOR, f'[name="{name}"]'), value)

    def _fill(self, field: WebElement, value: str) -> None:
        kind, tag = field.get_attribute("type"), field.tag_name
        if tag == "select":
            self.clicks += 1
            options = field.find_elements(By.CSS_SELECTOR, f'option[value="{value}"]') or [
                each for each in field.find_elements(By.TAG_NAME, "option") if each.text == value
            ]
            if not options:
                raise UnexpectedPage(f"there is no choice {value!r}")
            self.browser.driver.execute_script("arguments[0].selected = true", options[0])
        elif kind == "checkbox":
            self.clicks += 1
            field.click()
        elif kind == "file":
            self.clicks += 1
            field.send_keys(value)
        elif kind in ("date", "time", "datetime-local"):  # typed dates depend on the browser's language
            self.typed += 1
            self.browser.driver.execute_script("arguments[0].value = arguments[1]", field, value)
        else:
            self.typed += 1
            field.clear()
            field.send_keys(value)

    def element(self, selector: str, is_shown: bool = True) -> WebElement:
        deadline_s = time.monotonic() + WAIT_S
        while True:
            found = self.browser.driver.find_elements(By.CSS_SELECTOR, selector)
            shown = [each for each in found if not is_shown or each.is_displayed()]
            if shown:
                return shown[0]
            if time.monotonic() > deadline_s:
                raise UnexpectedPage(f"{selector} is not on the page:\n{self.expect()[:3000]}")
            time.sleep(0.1)

    def _settle(self) -> None:
        deadline_s = time.monotonic() + WAIT_S
        while self.browser.driver.execute_script(_BUSY):
            if time.monotonic() > deadline_s:
                raise UnexpectedPage("no page follows")
            time.sleep(0.03)

    def _files(self) -> dict[Path, int]:
        """Path of each downloaded file → its time of writing, which reveals a new file with an old name."""
        found = {}
        for each in self.downloads.iterdir():
            with suppress(FileNotFoundError):  # Chromium renames a file when it is complete
                found[each] = each.stat().st_mtime_ns
        return found

    def _downloaded(self, before: Mapping[Path, int]) -> Path:
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            new = [
                each
                for each, written in self._files().items()
                if before.get(each) != written and not each.name.endswith(".crdownload")
            ]
            whole = [each for each in new if each.stat().st_size and not each.name.startswith(".")]
            if whole:
                return whole[0]
            time.sleep(0.1)
        raise UnexpectedPage(f"nothing was saved:\n{self.expect()[:2000]}")
