"""The check of the AGI listener, with the service's own server and both kinds of address. It leaves no trace."""

import asyncio
import logging
from pathlib import Path

import pytest

from idtone.agi.server import FastAgiServer
from idtone.operations.doctor import observe_agi


async def never(request):
    raise AssertionError("the doctor's question is none")


@pytest.mark.parametrize("kind", ["unix", "tcp", "tcp6"])
async def test_the_listener_answers_and_logs_nothing(kind, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    address = {"unix": tmp_path / "agi.sock", "tcp": ("127.0.0.1", 0), "tcp6": ("::1", 0)}[kind]
    async with FastAgiServer(never).listening(address) as bound:
        assert await asyncio.to_thread(observe_agi.listener_trouble, bound) == ""
    assert not caplog.records


def test_why_it_does_not_answer(tmp_path):
    assert observe_agi.listener_trouble(tmp_path / "agi.sock") == "No such file or directory"
    (tmp_path / "file").touch()
    assert observe_agi.listener_trouble(Path(tmp_path / "file")) == "Connection refused"
