import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lab.asterisk_installation import AsteriskMissing
from lab.become_user import Identity
from lab.named_sites import OFTEN, SITES, table
from lab.site import BACK, BARE, FORWARD, JAPAN, ROOT, Site, chosen_site


def test_the_table_in_contributing_has_every_dimension_and_value():
    written = (ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()
    assert [row for row in table() if row not in written] == []


def test_the_sites_that_are_often_taken_differ_from_the_default_in_every_kind():
    for dimension in ("time_zone", "users", "umask", "registry", "idle_channels", "host", "transport"):
        assert any(getattr(SITES[name], dimension) != getattr(JAPAN, dimension) for name in OFTEN), dimension


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", JAPAN),
        ("bare", BARE),
        ("time_zone=America/St_Johns,idle_channels=0", {"time_zone": "America/St_Johns", "idle_channels": 0}),
        ("time_zone=XST-3XDT-4,5/0,9/0,umask=077", {"time_zone": "XST-3XDT-4,5/0,9/0", "umask": 0o077}),
        ("trusted=yes", {"trusted": True}),
    ],
)
def test_a_site_is_chosen_by_its_name_or_by_what_differs(text, expected):
    site = chosen_site({"SITE": text})
    if isinstance(expected, dict):
        assert {name: getattr(site, name) for name in expected} == expected
    else:
        assert site == expected


@pytest.mark.parametrize("text", ["atlantis", "timezone=UTC"])
def test_an_unknown_site_is_named_with_those_that_there_are(text):
    with pytest.raises(ValueError, match=r"japan|time_zone"):
        chosen_site({"SITE": text})


@pytest.mark.parametrize(("zone", "before_s", "after_s"), [(FORWARD, 3 * 3600, 4 * 3600), (BACK, 4 * 3600, 3 * 3600)])
def test_the_clock_of_a_changing_zone_changes_then(zone, before_s, after_s, monkeypatch):
    at_s = int(time.time()) + 100
    rule = SITES[zone].begun(100).time_zone
    with monkeypatch.context() as there:
        there.setenv("TZ", rule)
        time.tzset()
        offsets = [time.localtime(each).tm_gmtoff for each in (at_s - 2, at_s + 2)]
    time.tzset()
    assert offsets == [before_s, after_s]


def test_a_program_of_another_user_reaches_what_it_needs_and_nothing_beside_it(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    for name in ("needed", "other"):
        (tmp_path / "closed" / name).mkdir(parents=True)
        (tmp_path / "closed" / name).chmod(0o755)
    (tmp_path / "closed").chmod(0o700)
    needed = tmp_path / "closed" / "needed"
    identity = Identity(23_001, 23_001, 0o027, "pbx01", (sys.base_prefix, sys.prefix, str(needed)))
    asked = (
        "import json, os, socket; open('made', 'w');"
        "print(json.dumps([os.getuid(), os.getgid(), os.getgroups(), socket.gethostname(), os.listdir('..')]))"
    )
    os.chown(needed, 23_001, 23_001)
    done = subprocess.run(
        identity.command([sys.executable, "-c", f"import os; os.chdir({str(needed)!r}); {asked}"]),
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [23_001, 23_001, [], "pbx01", ["needed"]]
    assert (needed / "made").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o700


def test_a_program_of_another_user_runs_on_when_another_run_of_pytest_closes_its_folder_again():
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as top:
        needed = Path(top, "pytest-of-root", "pytest-0")
        needed.mkdir(parents=True)
        (needed / "sound").touch()
        for folder in (needed, *needed.parents[:2]):
            folder.chmod(0o755)
        identity = Identity(23_001, 23_001, 0o027, visible=(sys.base_prefix, sys.prefix, str(needed)))
        asked = f"import os; print(flush=True); input(); print(os.listdir({str(needed)!r}))"
        with subprocess.Popen(
            identity.command([sys.executable, "-c", asked]),
            cwd="/",
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as program:
            assert program.stdout
            assert program.stdout.readline() == "\n"
            needed.parent.chmod(0o700)
            listed, _ = program.communicate("\n", 30)
    assert listed == "['sound']\n"


def test_a_site_runs_the_asterisk_that_it_names(tmp_path):
    with pytest.raises(AsteriskMissing, match=f"{tmp_path}/asterisk does not start"):
        Site(asterisk=str(tmp_path / "asterisk")).installation()
