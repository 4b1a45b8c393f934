"""The shipped configurations of nginx, whose limit without `client_max_body_size` is 1 MB."""

import re
from pathlib import Path

import pytest

from idtone.console.operator.evidence_exports import FILE_LIMIT
from idtone.console.public import packs
from idtone.office.signing import package_zip

ROOT = Path(__file__).parents[2]
FORM = 64 * 1024
"""Room for the other fields of a form."""


def limits(path: str, proxied: str) -> list[int]:
    """The limit of each server that passes requests on to `proxied`, in bytes."""
    servers = re.split(r"^server \{", (ROOT / path).read_text("utf-8"), flags=re.MULTILINE)
    found = [re.findall(r"client_max_body_size (\d+)m;", each) for each in servers if proxied in each]
    return [int(size) * 2**20 for (size,) in found]


@pytest.mark.parametrize("page", ["docs/how-to/console.md", "docs/ja/how-to/console.md"])
def test_a_nodes_proxy_lets_every_upload_of_the_console_through(page):
    (limit,) = limits(page, "http://unix:/run/idtone-console")
    assert limit >= max(packs.LIMIT, FILE_LIMIT) + FORM


def test_the_offices_proxy_lets_signed_packages_through():
    (limit,) = limits("config/nginx-office.conf", "http://unix:/run/idtone-office")
    assert limit >= max(packs.LIMIT, package_zip.LIMIT) + FORM
