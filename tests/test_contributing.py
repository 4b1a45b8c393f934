"""CONTRIBUTING.md names only things that exist: files, names in files, targets of make, the default site."""

import re
from dataclasses import fields

from lab.repository import ROOT
from lab.site import Site

GUIDE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
NAMES_IN_FILE = re.compile(r"((?:`\w+`(?:,| and| or)? )+)in\s+`([\w/]+\.\w+)`")


def test_each_name_that_a_recipe_gives_stands_in_its_file():
    named = [(name, file) for names, file in NAMES_IN_FILE.findall(GUIDE) for name in re.findall(r"\w+", names)]
    assert {("Reason", "core/calls.py"), ("decide", "core/decision.py"), ("judge", "core/licence_standing.py")} <= set(
        named
    )
    wrong = [
        (name, file)
        for name, file in named
        if name not in ("and", "or") and not re.search(rf"\b{name}\b", (ROOT / file).read_text("utf-8"))
    ]
    assert wrong == []


def test_each_file_that_is_named_exists():
    paths = set(re.findall(r"`((?:[\w-]+/)+[\w-]+\.(?:py|md|conf|yaml|yml))`", GUIDE))
    assert "call_control/sound_delivery.py" in paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_each_target_of_make_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    known = {target for line in targets for target in line.split()}
    named = set(re.findall(r"(?:`|^)make ([a-z-]+[a-z])", GUIDE, re.MULTILINE))
    assert "bench-service-code" in named
    assert named - known == set()


def test_the_table_of_sites_has_the_default_site():
    words = {"": "the machine's", True: "yes", False: "no"}
    table = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", GUIDE, re.MULTILINE))
    assert table == {
        each.name: f"{each.default:03o}" if each.name == "umask" else _shown(each.default, words)
        for each in fields(Site)
        if each.init
    }


def _shown(value: object, words: dict[object, str]) -> str:
    return words[value] if isinstance(value, (bool, str)) and value in words else str(value)
