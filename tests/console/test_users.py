"""`idtone console user`: the file that it writes, its refusals, and the QR code of a second factor."""

import stat
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import yaml

from idtone.console.access import terminal_qr_code
from idtone.console.access import users as users_module
from idtone.console.access.password_rules import common_passwords, objection
from idtone.console.access.passwords import is_password
from idtone.console.access.rights import Role
from idtone.console.access.users import Passkey, User, change_users, read_users
from idtone.console.administration.user_rules import lock
from idtone.console.commands import users
from idtone.core.errors import UsageError


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "idtone.yaml"
    path.write_text(yaml.safe_dump({"node": "pbx-tokyo", "console": {"users": str(tmp_path / "users.yaml")}}))
    return path


@pytest.fixture
def entered(monkeypatch):
    """The passwords that the operator will type."""
    typed = ["correct horse battery"]
    monkeypatch.setattr(users, "ask_line", lambda *_, **__: typed[-1])
    return typed


def the_user(config) -> User:
    (user,) = read_users(config.parent / "users.yaml").users
    return user


def keep_passkey(config) -> None:
    key = Passkey(id="a", key="b", name="c")
    change_users(
        config.parent / "users.yaml",
        lambda all_: all_.update(sato=all_["sato"].model_copy(update={"passkeys": (key,)})),
    )


def test_a_locked_user_is_unlocked(config, entered):
    users.user("sato", [Role.ADMINISTRATOR], password=True, config=config)
    before = the_user(config)
    change_users(config.parent / "users.yaml", lambda all_: lock(all_, "sato", "abe"))
    users.user("sato", unlock=True, config=config)
    assert the_user(config) == before
    with pytest.raises(UsageError, match="there is no user abe"):
        users.user("abe", unlock=True, config=config)


def test_the_file_never_grows_above_what_is_read(config, monkeypatch):
    path = config.parent / "users.yaml"
    monkeypatch.setattr(users_module, "SIZE_LIMIT", 1000)
    monkeypatch.setattr(users_module, "RESERVE", 200)

    def add(name: str) -> None:
        change_users(path, lambda all_: all_.update({name: User(name=name, roles=(Role.VIEWER,), password="x" * 100)}))

    def add_ten() -> None:
        for number in range(10):
            add(f"user-{number}")

    with pytest.raises(UsageError, match="would be too large"):
        add_ten()
    known = read_users(path).users
    assert known
    for many, may in ((150, True), (900, False)):  # the reserve is for those who are there
        changed = known[0].model_copy(update={"password": "y" * many})
        with nullcontext() if may else pytest.raises(UsageError, match="would be too large"):
            change_users(path, lambda all_, changed=changed: all_.update({changed.name: changed}))
    assert read_users(path).users[0].password == "y" * 150


def test_a_second_factor_is_made_and_kept(config, entered, capsys):
    users.user("sato", [Role.VIEWER], password=True, config=config)
    assert capsys.readouterr().out.startswith("otpauth://totp/idtone:sato?")
    keep_passkey(config)
    first = the_user(config)
    assert first.totp
    assert stat.S_IMODE((config.parent / "users.yaml").stat().st_mode) == 0o600
    users.user("sato", [Role.OFFICE], config=config)
    assert the_user(config) == first.model_copy(update={"roles": (Role.OFFICE,)})


def test_a_second_factor_is_given_up_with_all_secrets(config, entered, capsys):
    users.user("sato", [Role.OFFICE], password=True, config=config)
    keep_passkey(config)
    capsys.readouterr()
    users.user("sato", [Role.OFFICE], password=True, no_code=True, config=config)
    assert capsys.readouterr().out == ""
    assert (the_user(config).totp, the_user(config).passkeys) == (None, ()), "all secrets are replaced"
    user = the_user(config)
    assert user.password
    assert is_password(entered[0], user.password)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("elevenchars", "fewer than 12"),
        ("x" * 1001, "more than 1000"),
        ("abababababab", "easy to guess"),
        ("I am Sato and I log in", "easy to guess"),
        ("Idtone-2026-Tokyo", "easy to guess"),
        ("the node is PBX-Tokyo", "easy to guess"),
        ("my PBX is in Tokyo", "easy to guess"),
        ("1qaz2wsx3edc", "one that many people use"),
        ("PassWord1234", "one that many people use"),
    ],
)
def test_a_weak_password_is_refused(config, entered, password, problem):
    entered.append(password)
    with pytest.raises(UsageError, match=problem):
        users.user("sato", [Role.VIEWER], password=True, config=config)
    assert not (config.parent / "users.yaml").exists()


def test_the_common_passwords_are_those_that_nothing_else_refuses():
    common = common_passwords()
    assert len(common) == 10_000
    allowed = [each for each in common if objection(each, (), ()) is None]
    assert len(allowed) == len(common)
    assert {each for each in common if objection(each, (), common) is None} == set()
    assert objection("correct horse battery", ("sato", "pbx-tokyo"), common) is None
    assert objection("monitoring the bob", ("bob", "pbx"), common) is None, "short names are in many words"


def test_changes_of_two_processes_come_one_after_the_other(config):
    path = config.parent / "users.yaml"

    def slowly(users: dict[str, User]) -> None:
        waiting.append(
            pool.submit(change_users, path, lambda users: users.update(b=User(name="b", roles=(Role.VIEWER,))))
        )
        with pytest.raises(TimeoutError):
            waiting[0].result(0.2)
        users["a"] = User(name="a", roles=(Role.VIEWER,))

    waiting: list[Future[None]] = []
    with ThreadPoolExecutor() as pool:
        change_users(path, slowly)
        waiting[0].result(60)
    assert [user.name for user in read_users(path).users] == ["a", "b"]


def test_the_terminal_shows_the_squares_of_the_code(monkeypatch, config, entered, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    users.user("sato", [Role.VIEWER], password=True, config=config)
    address, *shown = capsys.readouterr().out.splitlines()
    code = terminal_qr_code.squares(address)
    rows: list[list[bool]] = []
    for line in shown:
        characters = line.removeprefix("\x1b[38;5;16;48;5;231m").removesuffix("\x1b[0m")
        rows += [[each in "▀█" for each in characters], [each in "▄█" for each in characters]]
    margin = terminal_qr_code.MARGIN
    assert [row[margin:-margin] for row in rows[margin : margin + len(code)]] == code
    finder = [
        [row in (0, 6) or column in (0, 6) or {row, column} <= {2, 3, 4} for column in range(7)] for row in range(7)
    ]
    assert [row[:7] for row in code[:7]] == finder, "ISO/IEC 18004: a finder pattern in the corner"
