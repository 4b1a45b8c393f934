"""A Chromium with one window, for the tests of the console's pages."""

import re
import shutil
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By

from lab.chromium import Chromium

AXE: Final = Path(__file__).with_name("axe-4.14.1.min.js")
"""axe-core of Deque Systems, from its npm package. The packages on PyPI contain versions that are years old."""
AXE_SHA256: Final = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
WCAG: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars",
)  # fmt: skip
HEIGHT: Final = 900
WAIT_S: Final = 90

FINDINGS: Final = """
const done = arguments[arguments.length - 1];
axe.run({runOnly: arguments[0], resultTypes: ["violations"]}).then(
  found => done(found.violations.map(each =>
    each.id + ": " + each.nodes.map(node => node.html + " " + node.failureSummary).join(" | "))),
  error => done([String(error)]));
"""
CHANGES: Final = """
window.ended = new Set();
window.still = false;
document.addEventListener("htmx:sseClose", event => ended.add(event.target));
document.addEventListener("htmx:sseBeforeMessage", event => { if (still) event.preventDefault(); });
"""
"""Script that records which streams have delivered all their content, and that freezes the page on request."""
IS_SETTLED: Final = """
return document.readyState === "complete" && !document.querySelector(".htmx-request, [hx-trigger*='delay:']")
  && [...document.querySelectorAll("[sse-close]")].every(each => ended.has(each));
"""
"""Condition that all parts of the page have loaded. A page that is updated each second counts as loaded."""
STOPS: Final = """
window.stops = [...document.querySelectorAll(
  "a[href], button, input:not([type=hidden]), select, textarea, summary, audio[controls], video[controls]"
)].filter(each => each.checkVisibility({visibilityProperty: true}) && !each.disabled && each.tabIndex >= 0
  && !(each.type === "radio" && each !== (each.form ?? document).querySelector(`input[name="${each.name}"]:checked`)
       && each !== (each.form ?? document).querySelector(`input[name="${each.name}"]`)));
window.reached = [];
document.addEventListener("focusin", event => {
  const style = getComputedStyle(event.target);
  reached.push([stops.indexOf(event.target), style.outlineStyle === "auto"
    || style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2]);
});
document.activeElement.blur();
window.replaced = [...document.querySelectorAll("[sse-connect]:not([sse-close])")].flatMap(
  each => [...each.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]")]
).filter(each => each.closest("[sse-swap]") && !each.id);
return stops.map(each => each.outerHTML.slice(0, 200));
"""


@dataclass
class Browser:
    """One window of Chromium."""

    driver: Chrome

    def keep(self, address: str, cookies: Mapping[str, str]) -> None:
        """Remove all cookies and set these for the address."""
        self._do("Network.clearBrowserCookies")
        for name, value in cookies.items():
            self._do(
                "Network.setCookie",
                url=address,
                name=name,
                value=value,
                path="/",
                secure=True,
                httpOnly=True,
                sameSite="Strict",
            )

    def cookies(self) -> dict[str, str]:
        """Cookies of the open page."""
        return {each["name"]: each["value"] for each in self.driver.get_cookies()}

    def link(self, beginning: str) -> str:
        """The first link in the page's content whose address begins with `beginning`."""
        found = self.driver.find_element(By.CSS_SELECTOR, f'main a[href^="{beginning}"]')
        return str(found.get_property("href"))

    def look(self, width: int, scheme: str, height: int = HEIGHT) -> None:
        """Set the width of the window, and the colour scheme of the system: `light` or `dark`."""
        self._do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, address: str) -> None:
        """Open an address and wait for the parts that the page loads later.

        Otherwise the page changes while a test examines it.
        """
        self.driver.get(address)
        self.until(IS_SETTLED, f"{address} to settle")

    def settle(self) -> None:
        """Wait until the parts that the page requests have arrived."""
        self.until("return document.querySelector('.htmx-request') === null", "the parts of the page")

    def until(self, script: str, what: str) -> None:
        """Wait until the script returns true."""
        deadline_s = time.monotonic() + WAIT_S
        while not self.driver.execute_script(script):
            assert time.monotonic() < deadline_s, f"waited {WAIT_S} s for {what}"
            time.sleep(0.05)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Context in which the open page does not update itself, so that several checks examine the same page."""
        self.driver.execute_script("window.still = true")
        yield
        self.driver.execute_script("window.still = false")

    def sign_in(self, name: str, password: str) -> None:
        """Fill in the sign-in form of the open page and send it."""
        for field, value in (("name", name), ("password", password)):
            self.driver.find_element(By.NAME, field).send_keys(value)
        self.driver.find_element(By.CSS_SELECTOR, "main button").click()

    def send(self, fields: Mapping[str, str]) -> None:
        """Fill in the form with the first of these fields and send it. The value for a file is its path."""
        for name, value in fields.items():
            field = self.driver.find_element(By.CSS_SELECTOR, f'main [name="{name}"]')
            if field.get_attribute("type") == "date":  # typed dates depend on the browser's language
                self.driver.execute_script("arguments[0].value = arguments[1]", field, value)
            else:
                field.send_keys(value)
        self.driver.find_element(By.CSS_SELECTOR, f'main form:has([name="{next(iter(fields))}"]) button').click()

    def open_details(self) -> None:
        """Open all sections that can be expanded."""
        self.driver.execute_script("document.querySelectorAll('main details').forEach(each => { each.open = true; })")

    def text(self) -> str:
        """Visible content of the page, or an empty string while the page loads."""
        # Read in one step, because the page changes meanwhile.
        text: str = self.driver.execute_script(
            "return (document.querySelector('main') ?? document.body)?.innerText ?? ''"
        )
        return text

    def wait_for(self, pattern: str, within_s: float) -> None:
        """Wait until the page's content matches `pattern`, without reloading the page."""
        deadline_s = time.monotonic() + within_s
        while not re.search(pattern, text := self.text()):
            assert time.monotonic() < deadline_s, f"{pattern} does not appear in:\n{text}"
            time.sleep(0.2)

    def axe(self) -> list[str]:
        """Violations of WCAG 2.2 AA that axe finds in the page."""
        with self.still():
            found: list[str] = self.driver.execute_async_script(FINDINGS, [*WCAG])
        return found

    def overflow(self) -> str | None:
        """The element that makes the page wider than the window, or None if the page fits."""
        found: str | None = self.driver.execute_script(
            "const width = document.documentElement.clientWidth;"
            "if (document.documentElement.scrollWidth <= width) return null;"
            "const wide = [...document.querySelectorAll('body *')].filter("
            "  each => each.getBoundingClientRect().right > width + 1 && !each.closest('.scroll, .skip'));"
            "return String(wide.at(-1)?.outerHTML ?? 'the body').slice(0, 300);"
        )
        return found

    def errors(self) -> list[str]:
        """Messages that the page wrote to the browser's console since the last call."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def keyboard(self) -> list[str]:
        """Faults of the page when it is used with only the Tab key.

        Parts that are replaced repeatedly need ids, because htmx uses the ids to restore the focus.
        """
        with self.still():
            stops: list[str] = self.driver.execute_script(STOPS)
            reached: list[tuple[int, bool]] = []
            pressed, most = 0, 50 + 4 * len(stops)
            while pressed < most and (left := len({*range(len(stops))} - {stop for stop, _ in reached})):
                self.press(Keys.TAB * (left + 1))
                pressed += left + 1
                reached = [(stop, visible) for stop, visible in self.driver.execute_script("return reached")]
            replaced: list[str] = self.driver.execute_script("return replaced.map(each => each.outerHTML)")
        order = [*dict.fromkeys(stop for stop, _ in reached if stop >= 0)]
        first = order.index(min(order)) if order else 0
        order = order[first:] + order[:first]  # a page with `autofocus` begins elsewhere
        wrong = [f"{stops[stop]} shows no focus" for stop, visible in reached if stop >= 0 and not visible]
        wrong += [f"{stops[stop]} is not reached" for stop in sorted({*range(len(stops))} - {*order})]
        wrong += [f"{each} has no id, and loses the focus when its part of the page is replaced" for each in replaced]
        wrong += [f"{stops[now]} comes after {stops[then]}" for then, now in pairwise(order) if now < then]
        return wrong

    def press(self, keys: str) -> None:
        ActionChains(self.driver, duration=0).send_keys(keys).perform()

    def picture(self, path: Path, whole: bool = True) -> None:
        """Write a PNG of the whole page, or of only the part in the window."""
        path.parent.mkdir(parents=True, exist_ok=True)
        made = self._do("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(b64decode(made["data"]))

    def _do(self, command: str, **parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.driver.execute_cdp_cmd(command, parameters)
        return answer


@contextmanager
def browser(chromium: Chromium, folder: Path) -> Iterator[Browser]:
    """Context with a browser that has axe in every page. Its files are in `folder`."""
    options = ChromeOptions()
    options.binary_location = str(chromium.program)
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = ChromeService(
        str(chromium.driver), env=dict(chromium.environment), log_output=str(folder / "chromedriver.log")
    )
    driver = Chrome(options, service)
    try:
        driver.set_page_load_timeout(WAIT_S)
        driver.set_script_timeout(WAIT_S)
        for source in (AXE.read_text("utf-8"), CHANGES):
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        yield Browser(driver)
    finally:
        driver.quit()
        shutil.rmtree(folder / "profile", ignore_errors=True)
