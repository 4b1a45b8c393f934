"""Checks of a private key's place by a user who cannot read every folder of the machine."""

import os
import tempfile
import traceback
from pathlib import Path

import pytest

from idtone.office.authority.forbidden_key_places import check_key_place, place_warnings

NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_neighbour_that_cannot_be_read_hides_nothing_else_and_stops_no_command():
    with tempfile.TemporaryDirectory() as name:
        homes = Path(name)
        homes.chmod(0o755)
        (homes / "other").mkdir(mode=0o700)
        (homes / "sato").mkdir()
        package = homes / "ueda" / "package"
        (package / "after" / "metadata").mkdir(parents=True)
        (homes / "ueda" / "lost+found").mkdir(mode=0o700)
        (homes / "sato" / "link").symlink_to(homes / "other" / "after")
        child = os.fork()
        if not child:
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                check_key_place(homes)
                check_key_place(homes / "sato")
                assert list(place_warnings([homes / "sato" / "root-1.pem"])) == []
                assert [each.fields["package"] for each in place_warnings([homes / "ueda" / "root-2.pem"])] == [package]
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
