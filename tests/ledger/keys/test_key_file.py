import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.keys.key_file import load_key
from idtone.ledger.keys.sealing import LedgerKey


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_key_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "new" / "deep" / "ledger.key"
    loose = os.umask(0)
    try:
        key = load_key(path)
    finally:
        os.umask(loose)
    assert (len(key), key != load_key(tmp_path / "other")) == (32, True)
    assert load_key(path) == key == path.read_bytes()
    assert mode(path) == 0o600
    assert mode(path.parent) == mode(path.parent.parent) == 0o700
    assert os.listdir(path.parent) == ["ledger.key"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files that the service could not use")
def test_a_key_that_root_makes_is_the_services(tmp_path):
    """Root creates a key while the service is down, for example with `idtone-evidence log replace-key`."""
    os.chown(tmp_path, 4321, -1)
    load_key(tmp_path / "ledger.key.sign-2")
    assert (tmp_path / "ledger.key.sign-2").stat().st_uid == 4321


def test_all_who_start_at_once_get_the_same_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_key(tmp_path / "ledger.key"), range(32)))
    assert len(keys) == 1
    assert os.listdir(tmp_path) == ["ledger.key"]


def test_a_key_that_others_may_touch_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "ledger.key"
    load_key(path)
    for loose in (0o640, 0o604, 0o620, 0o602, 0o610):
        path.chmod(loose)
        with pytest.raises(LedgerError, match=f"chmod 600 {path}"):
            load_key(path)
    path.chmod(0o660)
    assert load_key(path, 0o660) == load_key(path, 0o660)
    path.chmod(0o664)
    with pytest.raises(LedgerError, match=f"chmod 660 {path}"):
        load_key(path, 0o660)


def test_a_key_of_the_wrong_size_is_refused_and_stays(tmp_path):
    path = tmp_path / "ledger.key"
    for size in (0, 31, 33):
        path.write_bytes(bytes(size))
        path.chmod(0o600)
        with pytest.raises(LedgerError, match="exactly 32 bytes"):
            load_key(path)
        assert path.read_bytes() == bytes(size)
        with pytest.raises(LedgerError, match=f"has {size} bytes instead of 32"):
            LedgerKey(bytes(size))


def test_a_key_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"file/ledger\.key: .*Not a directory"):
        load_key(tmp_path / "file" / "ledger.key")
