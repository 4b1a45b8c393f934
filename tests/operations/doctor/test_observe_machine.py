"""The observations of this machine are correct, and leave no trace."""

import fcntl
import grp
import os
import pwd
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from idtone.operations.doctor import observe_machine
from idtone.operations.doctor.shared_file_findings import Identity
from lab.asterisk import free_ports


def test_open_ports_are_seen_by_their_addresses():
    with socket.socket() as one, socket.socket(socket.AF_INET6) as other, socket.socket() as closed:
        (port,) = free_ports(1)
        one.bind(("127.0.0.2", port))
        one.listen()
        other.bind(("::1", port))
        other.listen()
        closed.bind(("127.0.0.3", port))
        with socket.create_connection(one.getsockname()), one.accept()[0]:
            assert observe_machine.listening_addresses(port) == [ip_address("127.0.0.2"), ip_address("::1")]
        assert observe_machine.listening_addresses(port) == [ip_address("127.0.0.2"), ip_address("::1")]
    assert observe_machine.listening_addresses(*free_ports(1)) == []


@contextmanager
def holding(file: Path, *words: str) -> Iterator[int]:
    """Run a process that has the file open, with `words` in its command line; yields its process id."""
    command = ["sh", "-c", f"exec 3< {file} && echo && read end", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        yield holder.pid
        holder.communicate(b"\n")


def test_a_process_that_has_the_lock_file_open_is_found(tmp_path):
    lock = tmp_path / "ledger.lock"
    assert observe_machine.is_open(lock) is False
    lock.touch()
    assert observe_machine.is_open(lock) is False
    with holding(lock) as pid:
        assert (observe_machine.is_open(lock), observe_machine.holder(lock)) == (True, pid)
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the check took no lock
    assert (observe_machine.is_open(lock), observe_machine.holder(lock)) == (False, None)
    assert observe_machine.holder(tmp_path / "nothing") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_service_of_another_user_cannot_be_ruled_out(tmp_path):
    lock = tmp_path / "ledger.lock"
    lock.touch()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("pytest-", "test_")):
            folder.chmod(0o755)
    imports = "import pathlib as p; from idtone.operations.doctor import observe_machine as m"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c"]
    with holding(lock, "serve"):
        asked = subprocess.check_output([*nobody, f"{imports}; print(m.is_open(p.Path({str(lock)!r})))"], text=True)
    assert asked == "None\n"


def test_the_identity_of_a_process(tmp_path):
    pid_file = tmp_path / "asterisk.pid"
    assert observe_machine.identity_by_pid_file(pid_file) is None
    pid_file.write_text(f"{os.getpid()}\n")
    identity = Identity(os.geteuid(), frozenset({os.getegid(), *os.getgroups()}), os.getegid())
    assert observe_machine.identity_by_pid_file(pid_file) == observe_machine.process_identity(os.getpid()) == identity
    pid_file.write_text("no number")
    assert observe_machine.identity_by_pid_file(pid_file) is None


def test_the_identity_of_an_account():
    account, me = observe_machine.account_identity, pwd.getpwuid(os.getuid())
    expected = Identity(me.pw_uid, frozenset(os.getgrouplist(me.pw_name, me.pw_gid)), me.pw_gid)
    assert account(me.pw_name) == account(me.pw_uid) == expected
    other = next(group for group in grp.getgrall() if group.gr_gid not in expected.groups)
    groups = frozenset(os.getgrouplist(me.pw_name, other.gr_gid))
    assert account(me.pw_uid, other.gr_name) == Identity(me.pw_uid, groups, other.gr_gid)
    assert account(me.pw_uid, more=[other.gr_name]) == replace(expected, groups=expected.groups | {other.gr_gid})
    assert account("no-such-user") is account(me.pw_uid, "no-such-group") is None
    assert observe_machine.user_name(me.pw_uid) == me.pw_name
    assert observe_machine.group_name(other.gr_gid) == other.gr_name
    assert observe_machine.user_name(2**31) == observe_machine.group_name(2**31) == str(2**31)


def test_the_folders_above_a_folder(tmp_path):
    assert observe_machine.folders_above(tmp_path / "a" / "b") == [*reversed(tmp_path.parents), tmp_path]
    assert observe_machine.folders_above(tmp_path) == list(reversed(tmp_path.parents))


def test_a_look_up_that_hangs_ends_at_the_deadline(monkeypatch):
    assert observe_machine.look_up("localhost", 30)[1] is True
    assert observe_machine.look_up("nobody.invalid", 10)[1] is False
    answers = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answers.wait(60))
    took_s, resolved = observe_machine.look_up("slow", 0.1)
    answers.set()
    assert (0.1 <= took_s < 30, resolved) == (True, False)


@pytest.mark.parametrize(
    "line", ["#include idtone.conf", '  #tryinclude "idtone.conf" ; ours', "#include </etc/x/idtone.conf>"]
)
def test_the_files_that_include_the_hook(tmp_path, line):
    (tmp_path / "other.conf").write_text("; #include idtone.conf\n#include myidtone.conf\n#include idtone.conf.old\n")
    assert observe_machine.files_including_hook(tmp_path) == []
    (tmp_path / "extensions.conf").write_text(f"[general]\n{line}\n")
    assert observe_machine.files_including_hook(tmp_path) == [tmp_path / "extensions.conf"]
    (tmp_path / "unreadable.conf").mkdir()
    assert observe_machine.files_including_hook(tmp_path) == [tmp_path / "extensions.conf"], (
        "an unreadable file does not hide it"
    )
    (tmp_path / "extensions.conf").unlink()
    assert observe_machine.files_including_hook(tmp_path) is None, "the #include may be in the unreadable file"
    assert observe_machine.files_including_hook(tmp_path / "nowhere") is None


@pytest.mark.parametrize(("mode", "is_wal"), [("wal", True), ("persist", False)])
def test_wal_mode_is_read_from_the_header(tmp_path, mode, is_wal):
    path = tmp_path / "ledger.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert observe_machine.is_wal(path) is is_wal
    assert observe_machine.is_wal(tmp_path / "nothing") is False


def test_missing_files(tmp_path):
    assert observe_machine.read_text(tmp_path / "nothing") == (None, "")
    assert observe_machine.read_text(tmp_path) == (None, "Is a directory")
    assert observe_machine.content(tmp_path / "nothing") is None
    assert observe_machine.mode_and_owner(tmp_path / "nothing") is None
    assert observe_machine.nearest_existing(tmp_path / "a" / "b") == tmp_path
    assert observe_machine.free_space(tmp_path / "a" / "b").free_bytes > 0
    assert observe_machine.free_space(Path("/")).free_bytes > 0


def test_the_clock_is_read_and_not_set():
    before = time.time()
    assert observe_machine.clock_is_synchronised() in (True, False)
    assert abs(time.time() - before) < 5


def test_the_rights_of_everything_in_a_folder(tmp_path):
    (tmp_path / "below").mkdir(mode=0o700)
    (tmp_path / "below" / "file").touch(mode=0o600)
    (tmp_path / "link").symlink_to("below/file")
    (tmp_path / "gone").symlink_to("nowhere")
    found = {each.path.relative_to(tmp_path).as_posix(): each.mode for each in observe_machine.rights_in(tmp_path)}
    assert found.pop(".")
    assert found == {"below": 0o700, "below/file": 0o600, "link": 0o600}
    assert observe_machine.rights_in(tmp_path / "nowhere") == []


def test_a_sparse_file_occupies_nothing(tmp_path):
    file = tmp_path / "reserve"
    assert observe_machine.size(file) is None
    file.touch()
    os.truncate(file, 2**20)
    assert observe_machine.size(file) == 0
    file.write_bytes(b"x" * 2**20)
    assert observe_machine.size(file) == 2**20
