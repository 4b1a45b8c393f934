"""The lab's association and its public site.

They have a suspended number and a number that never originates.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from lab.registry.examples import GOOD

from ..authority.office import Office

STOPPED: Final = "0312345677"
NEVER: Final = "0335810110"
LICENSED: Final = "0312345678"
UNLICENSED: Final = "0312340001"
NOT_A_MEMBERS: Final = "0399990000"
ADDRESS: Final = "http://127.0.0.1:8711"


def published_site(
    office: Office, public: str = "names_holders: true, course: true", address: str = ADDRESS, desk: str = ""
) -> Any:
    """Publish the lab's registry, write its site, and return the output of the command.

    The site is in the folder `site` beside the office's.
    """
    office.folder.mkdir(parents=True, exist_ok=True)
    issued = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    office.registry.write_text(GOOD.partition("suspensions:")[0].replace("0612345*", "061234500*"))
    office.suspensions.write_text(
        f'issued: {issued}\nsuspensions:\n  - {{number: "{STOPPED}", since: {issued}, reference: R-1}}\n'
    )
    (office.folder / "never-originates.yaml").write_text(
        f"issued: {issued}\nnever_originates:\n"
        f'  - {{number: "{NEVER}", holder: 見本警察署, reference: N-1, since: {issued}}}\n'
    )
    desks = f", desk: {desk}" if desk else ""
    (office.folder / "authority.yaml").write_text(
        f"public: {{{public}, address: {address}{desks}, test_number: 0312345699}}\n"
    )
    office.json("publication begin", "--keys", office.key("any").parent)
    return office.json("site write", "-o", site_of(office), *office.duty())


def site_of(office: Office) -> Path:
    return office.folder.with_name("site")


def statement_of(site: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((site / "statement" / "statement.json").read_text())["signed"]
    return content
