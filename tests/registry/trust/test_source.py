"""The signed registry in the service. The service takes each new generation, and keeps the last one if none comes."""

import logging
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from idtone.core.calls import Direction, ForwardedCall, Reason, Trust
from idtone.core.decision import Policy, decide
from idtone.core.errors import TrustError
from idtone.core.numbers import parse
from idtone.registry.sources import WHOLE_S, SignedSource
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.publication_client import PublicationClient
from idtone.registry.trust.tuf_roles import Keys
from lab.core.fake_registry import NOW
from lab.registry.trust.association import STOPPED, Association, Machine, sign_without_rules

STOPPED_NUMBER = parse("0312345677")


@pytest.fixture
def open_source(machine: Machine) -> Callable[..., SignedSource]:
    return lambda poll_s=0.0, clock_s=lambda: 0.0: SignedSource(machine.repository(), poll_s, clock_s)


def test_a_generation_is_taken_once(open_source):
    source = open_source()
    assert source.refresh()
    assert not source.refresh()
    assert (source.current.version, source.current.trust) == (42, Trust.SIGNED)
    assert source.current.expires < datetime.now(UTC) + timedelta(days=8)


def test_a_suspension_makes_a_generation_without_reading_the_members_again(association, open_source, monkeypatch):
    source = open_source()
    source.refresh()
    before, held = source.current, parse("0312345601")
    path = association.repository / tuf_roles.METADATA / "timestamp.json"
    status = path.stat()
    association.write(suspensions=STOPPED)
    association.publish(association.signers(Keys.DUTY))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    monkeypatch.setattr("idtone.registry.sources.RegistryIndex", None)  # which must not be made again
    assert source.refresh(), "although the timestamp's file has the same date and size"
    after = source.current
    assert not before.suspensions_of(STOPPED_NUMBER)
    assert after.suspensions_of(STOPPED_NUMBER)
    assert after.holding(held, NOW) is before.holding(held, NOW)
    assert after.issued == datetime.fromisoformat("2026-11-02T00:00:00+09:00")


def test_a_refused_generation_is_logged_once_and_changes_nothing(association, open_source, caplog):
    source = open_source()
    source.refresh()
    before, path = source.current, association.repository / tuf_roles.METADATA / "timestamp.json"
    good = path.read_bytes()
    path.write_bytes(good.replace(b"1", b"2"))
    for _ in range(3):
        assert not source.refresh()
    assert source.current is before
    [told] = errors(caplog)
    assert "not what the association signed" in told
    assert "Version 42 stays in use" in told
    path.write_bytes(good)
    assert not source.refresh()


def test_after_a_restart_the_kept_generation_is_used_without_asking_the_source(association, open_source, walks):
    association.write(suspensions=STOPPED)
    association.publish()
    open_source().refresh()
    walks.clear()
    shutil.rmtree(association.repository)
    source = open_source()
    assert source.refresh()
    assert not walks, "a start does not wait for the source"
    assert not source.refresh()
    assert source.current.trust is Trust.SIGNED
    assert source.current.suspensions_of(STOPPED_NUMBER)


def test_the_source_is_polled_at_the_set_interval(association, open_source):
    now_s = [0.0]
    source = open_source(5.0, lambda: now_s[0])
    assert source.refresh()
    association.write(suspensions=STOPPED)
    association.publish()
    for now_s[0], refreshed in ((4.9, False), (5.0, True)):
        assert source.refresh() is refreshed


def test_signed_faults_are_logged_and_change_nothing(association, open_source, caplog, monkeypatch):
    source = open_source()
    source.refresh()
    sign_without_rules(monkeypatch, tuf_roles.SUSPENSIONS)
    association.write(suspensions=STOPPED.replace("03123", "03x23"))
    association.publish()
    for _ in range(3):
        assert not source.refresh()
    assert source.current
    assert not source.current.suspensions_of(STOPPED_NUMBER)
    assert caplog.text.count("suspensions.yaml:") == 1
    again = open_source()
    again.refresh()
    assert again.current, "what could be read was kept"


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A list with one item for each complete verification."""
    made: list[None] = []
    update = PublicationClient.update
    monkeypatch.setattr(PublicationClient, "update", lambda self: made.append(None) or update(self))
    return made


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


def reason(source: SignedSource, number: str, at: datetime) -> Reason:
    call = ForwardedCall("c", Direction.INCOMING, parse(number), parse(""), parse("0501234567"))
    return decide(call, source.current, Policy(member="m-0001"), at).reason


def test_an_unchanged_timestamp_suffices_for_a_minute(association, open_source, walks, caplog):
    now_s = [0.0]
    source = open_source(clock_s=lambda: now_s[0])
    assert source.refresh()
    shutil.rmtree(association.repository / tuf_roles.TARGETS)
    (association.repository / tuf_roles.METADATA / "2.root.json").write_text("{}")
    for now_s[0] in (1.0, 30.0, WHOLE_S - 1):
        assert not source.refresh()
    assert (len(walks), errors(caplog)) == (1, [])
    now_s[0] = WHOLE_S
    assert not source.refresh()
    assert len(walks) == 2
    [told] = errors(caplog)
    assert "not what the association signed" in told, "missing files are logged within a minute"


def test_a_lost_source_is_logged_at_the_next_poll_and_used_again_later(association, open_source, caplog):
    source = open_source()
    source.refresh()
    away = association.repository.with_name("away")
    association.repository.rename(away)
    for _ in range(3):
        assert not source.refresh()
    [told] = errors(caplog)
    assert "cannot be read" in told
    away.rename(association.repository)
    assert not source.refresh()
    association.write(suspensions=STOPPED)
    association.publish()
    assert source.refresh()
    assert len(errors(caplog)) == 1


def test_a_source_that_never_changes_is_trusted_until_its_signatures_expire(tmp_path, walks, caplog, monkeypatch):
    """The expiry changes decisions at once, and is logged within a minute."""
    frozen = Association(tmp_path / "frozen")
    frozen.begin(datetime.now(UTC) - tuf_roles.ROLES["timestamp"].lasts + timedelta(seconds=60))
    now_s = [0.0]
    source = SignedSource(Machine(frozen, tmp_path / "frozen-machine").repository(), 0.0, lambda: now_s[0])
    assert source.refresh()
    assert reason(source, "0312345601", datetime.now(UTC)) is Reason.LICENCE_VALID
    after = source.current.expires + timedelta(seconds=1)
    clock = SimpleNamespace(datetime=SimpleNamespace(now=lambda zone: after), timezone=timezone)
    monkeypatch.setattr("tuf.ngclient._internal.trusted_metadata_set.datetime", clock)
    now_s[0] = WHOLE_S - 1
    assert not source.refresh()
    assert len(walks) == 1
    assert reason(source, "0312345601", after) is Reason.REGISTRY_STALE
    now_s[0] = WHOLE_S
    assert not source.refresh()
    [told] = errors(caplog)
    assert "expired" in told


@pytest.mark.parametrize(
    "trouble", ["idtone.registry.sources._indexed", "idtone.registry.trust.publication_client.PublicationClient.keep"]
)
def test_a_generation_that_could_not_be_read_or_kept_is_tried_again(trouble, machine, open_source, caplog):
    now_s = [0.0]
    source = open_source(clock_s=lambda: now_s[0])
    with patch(trouble, side_effect=TrustError("the disk is full")):
        assert not source.refresh()
    assert "the disk is full" in errors(caplog)[0]
    assert machine.repository().last_good() is None
    now_s[0] = WHOLE_S
    source.refresh()
    assert source.current
    assert machine.repository().last_good()
