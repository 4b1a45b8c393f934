"""Mails about pending tasks: their recipients, their times, and what they never contain."""

import asyncio
import email
import email.policy
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from idtone.console import pending_tasks, pending_tasks_page
from idtone.console.access.own_account import MAILS
from idtone.console.access.rights import Right, Role
from idtone.console.access.users import User, change_users, read_users
from idtone.console.pending_tasks import PendingTask
from idtone.console.pending_tasks_mail import (
    EVERY_S,
    MailedTasks,
    WaitingMails,
    checked_address,
    mailed_after,
    waiting_mail,
)
from idtone.core.errors import UsageError
from idtone.core.persons import console_person
from idtone.core.settings.policy import OwnSuspensions
from idtone.core.translation import Message
from idtone.operations import failure_mail
from lab.console.site import PASSWORD, running_site
from lab.registry.examples import GOOD

NOW = datetime(2026, 11, 1, tzinfo=UTC)
STOP = PendingTask(
    1, Message("Stop to be approved: {reference}", reference="R-77"), "/suspensions/stops/s-1", Right.ENTER
)
OTHER = PendingTask(
    1, Message("Stop to be approved: {reference}", reference="R-78"), "/suspensions/stops/s-2", Right.ENTER
)

KNOWN = {"password": PASSWORD}


@pytest.fixture
def sent(tmp_path, monkeypatch) -> object:
    """The mails that were given to sendmail."""
    coming = f"f=$(mktemp {tmp_path}/coming-XXXXXX) && cat > $f && mv $f {tmp_path}/mail-${{f##*-}}"  # a whole one
    (tmp_path / "sendmail").write_text(f"#!/bin/sh\n{coming}\n")
    (tmp_path / "sendmail").chmod(0o755)
    monkeypatch.setattr(failure_mail, "_PATH", f"{tmp_path}:/usr/bin:/bin")

    def read() -> list[email.message.EmailMessage]:
        files = sorted(tmp_path.glob("mail-*"), key=lambda each: each.stat().st_mtime_ns)
        return [email.message_from_bytes(each.read_bytes(), policy=email.policy.default) for each in files]

    return read


def test_a_mail_is_due_when_something_new_waits_and_at_most_each_half_hour():
    first = mailed_after(MailedTasks(), [STOP], 1000.0)
    assert first is not None
    assert mailed_after(MailedTasks(), [], 1000.0) is None
    assert mailed_after(first, [STOP], 1000.0 + 2 * EVERY_S) is None, "it was told"
    assert mailed_after(first, [STOP, OTHER], 1000.0 + EVERY_S - 1) is None, "too early"
    assert mailed_after(first, [STOP, OTHER], 1000.0 + EVERY_S) is not None
    assert mailed_after(first, [OTHER], 500.0) is not None, "the clock was set back: a mail too many, and none too few"


@pytest.mark.parametrize("text", ["sato@example.jp", "a.b+c@mail.example", "x@localhost"])
def test_addresses(text):
    assert checked_address(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "sato",
        "@x",
        "a@b\nBcc: c@d",
        "a@b, c@d",
        "a@b c@d",
        "-oQ@x",
        "|sh@x y",
        "a@b>",
        '"a b"@c',
        "佐藤@example.jp",
        "",
    ],
)
def test_what_could_add_a_receiver_or_an_option_is_no_address(text):
    with pytest.raises(UsageError):
        checked_address(text)


def test_a_mail_has_counts_and_no_reference():
    office = PendingTask(3, Message("Reports to be closed"), "/office/reports", Right.OFFICE, True)
    stops = [PendingTask(each.count, each.what, each.path, Right.STOP_NUMBERS) for each in (STOP, OTHER)]
    mail = waiting_mail("sato@example.jp", "pbx-1", "https://pbx.example.jp", [*stops, office], NOW)
    text = mail.get_content()
    assert "Stops of this node to be approved: 2" in text
    assert "Reports to be closed: 3, late" in text
    assert "承認待ちの番号停止" in text
    assert "https://pbx.example.jp" in text
    assert not any(each in text + mail["Subject"] for each in ("R-7", "s-1", "/suspensions"))
    assert mail["Auto-Submitted"] == "auto-generated"


def mails_of(tmp_path) -> WaitingMails:
    return WaitingMails(tmp_path / "users.yaml", "pbx-1", "https://pbx.example.jp")


def told(mails: WaitingMails, things: Sequence[PendingTask], now: datetime) -> None:
    mails.tell_all([(User(name="sato", roles=(Role.DUTY,), mail="sato@example.jp"), things)], now)


def test_a_restart_tells_nothing_twice_and_what_came_back_is_told_again(tmp_path, sent):
    told(mails_of(tmp_path), [STOP], NOW)
    told(mails_of(tmp_path), [STOP], NOW + timedelta(hours=1))
    assert len(sent()) == 1
    told(mails_of(tmp_path), [], NOW + timedelta(hours=2))
    told(mails_of(tmp_path), [STOP], NOW + timedelta(hours=3))
    assert len(sent()) == 2
    assert (tmp_path / "console-mails.json").stat().st_mode & 0o077 == 0
    assert "R-77" not in (tmp_path / "console-mails.json").read_text()


def test_a_mail_that_is_not_taken_is_tried_again_later(tmp_path, sent, caplog):
    program = (tmp_path / "sendmail").read_text()
    (tmp_path / "sendmail").write_text("#!/bin/sh\nexit 75\n")
    told(mails_of(tmp_path), [STOP], NOW)
    assert "does not take the mail" in caplog.text
    (tmp_path / "sendmail").write_text(program)
    told(mails_of(tmp_path), [STOP], NOW + timedelta(minutes=29))
    assert sent() == []
    told(mails_of(tmp_path), [STOP], NOW + timedelta(minutes=31))
    assert len(sent()) == 1


def test_a_damaged_file_tells_again_and_says_so(tmp_path, sent, caplog):
    (tmp_path / "console-mails.json").write_text('{"sato": []}')
    told(mails_of(tmp_path), [STOP], NOW)
    assert (len(sent()), "cannot be read" in caplog.text) == (1, True)


@pytest.fixture
async def site(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(pending_tasks, "AT_MOST_EVERY_S", 0.05)
    monkeypatch.setattr(pending_tasks, "EVERY_S", 0.2)
    (tmp_path / "registry.yaml").write_text(GOOD)
    policy = settings.policy.model_copy(update={"own_suspensions": OwnSuspensions.TWO_PERSONS})
    async with running_site(settings.model_copy(update={"policy": policy}), (Role.DUTY, Role.VIEWER)) as one:
        yield one


async def test_a_user_opts_in_and_is_told_of_what_another_has_asked_for(site, settings, sent, monkeypatch):
    duty, other = await site.visitor(Role.DUTY), await site.visitor(Role.DUTY, Role.VIEWER)
    refused = await duty.send("/account", "/account/mail", {**KNOWN, "mail": "a@b,c@d"})
    assert (refused.status, "no mail address" in refused.text, sent()) == (400, True, [])
    for known in ({}, {"password": "wrong"}):
        refused = await duty.send("/account", "/account/mail", {**known, "mail": "sato@example.jp"})
        assert (refused.status, sent()) == (403, []), "a session alone is not enough"
    assert (await duty.send("/account", "/account/mail", {**KNOWN, "mail": "sato@example.jp"})).status == 303
    [first] = sent()
    assert first["To"] == "sato@example.jp"
    assert 'value="sato@example.jp"' in (await duty.get("/account")).text
    asked = PendingTask(1, STOP.what, STOP.path, Right.STOP_NUMBERS, by=console_person("duty-viewer"))
    own = PendingTask(1, OTHER.what, OTHER.path, Right.STOP_NUMBERS, by=console_person("duty"))
    monkeypatch.setattr(pending_tasks_page, "_stops", lambda console, now: [asked, own])
    for _ in range(1200):
        if len(sent()) > 1:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    _, second = sent()
    assert "Stops of this node to be approved: 1" in second.get_content(), "not the own one"
    assert (await duty.send("/account", "/account/mail", {**KNOWN, "mail": ""})).status == 303
    assert [each.mail for each in read_users(site.console.settings.console.users).users if each.mail] == []
    assert (await other.get("/account")).status == 200


async def test_first_mails_are_limited(site, sent):
    duty = await site.visitor(Role.DUTY)
    answers = [await duty.send("/account", "/account/mail", {**KNOWN, "mail": f"x{n}@example.jp"}) for n in range(5)]
    assert [each.status for each in answers] == [303, 303, 303, 429, 429]
    assert len(sent()) == 3


async def test_a_locked_user_gets_no_mail(site, sent):
    def locked(users):
        users["duty"] = users["duty"].model_copy(update={"mail": "x@example.jp", "locked": True})

    change_users(site.console.settings.console.users, locked)
    await site.app[MAILS].tell(site.console.users.all(), lambda _: [STOP])
    assert sent() == []
