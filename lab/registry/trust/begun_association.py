"""Fixtures for an association that has published, and for a member's machine."""

import shutil
from pathlib import Path

import pytest

from lab.registry.trust.association import Association, Machine
from lab.registry.trust.publication_server import write_certificate


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Association:
    made = Association(tmp_path_factory.mktemp("begun") / "association")
    made.begin()
    return made


@pytest.fixture
def association(begun: Association, tmp_path: Path) -> Association:
    """A copy of the association that has published, for one test."""
    shutil.copytree(begun.folder, tmp_path / "association")
    return Association(tmp_path / "association", dict(begun.keys), new=False)


@pytest.fixture
def machine(association: Association, tmp_path: Path) -> Machine:
    return Machine(association, tmp_path / "machine")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File with a self-signed certificate for 127.0.0.1 and its key."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    write_certificate(path)
    return path
