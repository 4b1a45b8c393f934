"""The year of the office, as `make demo-authority` runs it, with the files that it leaves in its folder."""

import json
from xml.etree import ElementTree

from lab.office.year.office_year import WHOLESALER
from lab.office.year.steps import STEPS


def test_the_year_finds_what_it_should(year):
    out, err = (year / "out").read_text(), (year / "err").read_text()
    told = json.loads(out)
    assert (told["good"], [each["step"] for each in told["steps"]]) == (True, [step.name for step in STEPS])
    pictures = sorted((year / "pictures").iterdir())
    assert [str(picture) for picture in pictures] == [each["picture"] for each in told["steps"]]
    for picture in pictures:
        if picture.suffix == ".svg":
            ElementTree.parse(picture)  # noqa: S314  our own file
    log = (year / "desk.log").read_text()
    assert "0362345" not in log + err + out, "telephone numbers are secrets"
    assert WHOLESALER in (year / "office" / "registry.yaml").read_text()
