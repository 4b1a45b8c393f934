"""Takes screenshots of the console for the READMEs, in the running demo: `make console-pictures`.

`python -m tools.console_pictures FOLDER` writes them into FOLDER.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from idtone.console.access.cookies import LANGUAGE
from lab.chromium import find_or_get_chromium
from lab.console.browser.browser import Browser, browser
from lab.console.demo import demo
from lab.processes import end_in_order

WIDTH, HEIGHT = 1100, 960
RATE, HOLD_S, AFTER_S = 0.25, 11.0, 60.0
"""Calls per second (as many as in the hours before), length of a call, and time until the screenshots, in seconds."""
LANGUAGES: Final = {"en": "", "ja": ".ja"}


def main() -> int:
    parser = argparse.ArgumentParser(description="Takes the pictures of the READMEs.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    end_in_order()
    with (
        tempfile.TemporaryDirectory(prefix="idtone-pictures-") as scratch,
        browser(find_or_get_chromium(Path(scratch) / "browser"), Path(scratch) / "browser") as window,
        demo(Path(scratch), 2 * AFTER_S, RATE, HOLD_S) as running,
    ):
        window.look(WIDTH, "light", HEIGHT)
        window.open(running.address)
        window.sign_in(running.name, running.password)
        time.sleep(AFTER_S)
        for language, ending in LANGUAGES.items():
            window.keep(running.address, window.cookies() | {LANGUAGE.name: language})
            _picture(window, f"{running.address}now", folder / f"console-now{ending}.png")
            window.open(f"{running.address}calls")
            _picture(window, window.link("/calls/pbx-1-"), folder / f"console-call{ending}.png")
    return 0


def _picture(window: Browser, address: str, path: Path) -> None:
    window.open(address)
    time.sleep(1.5)  # time for the updates that happen each second
    window.picture(path, whole=False)
    print(path, path.stat().st_size, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
