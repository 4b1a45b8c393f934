"""Page 2 as a visitor uses it: the site's scripts look numbers up at the real service, and find the lies of a host."""

import asyncio
import base64
import hashlib
import json
import shutil
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from securesystemslib.signer import CryptoSigner
from yarl import URL

from idtone.member.customers.refused import ristretto255 as group
from idtone.office.desk.reports.rate_limit import RateLimit
from idtone.office.site.number_service import PATH, Limits, application, serve
from idtone.office.site.number_table import key_pair
from lab.node_js import find_or_get_node
from lab.office.site.published_site import LICENSED, NEVER, NOT_A_MEMBERS, STOPPED, UNLICENSED, statement_of
from lab.phones.required_packages import bundle
from lab.repository import ROOT

MANY = Limits(10_000, 10_000)
SPELLINGS = {
    LICENSED: "licensed m-0001", "03-1234-5678": "licensed m-0001", "０３(1234)5678": "licensed m-0001",
    "+81 3 1234 5678": "licensed m-0001", "06-1234-5000": "licensed m-0001", STOPPED: "stopped", NEVER: "never",
    UNLICENSED: "unlicensed", NOT_A_MEMBERS: "none", "0312345": "no number", "110": "no number",
}  # fmt: skip


@asynccontextmanager
async def service(
    seed: bytes, limits: Limits = MANY, folder: Path | None = None, origins: Collection[str] = ()
) -> AsyncIterator[str]:
    over, begun = asyncio.Event(), asyncio.get_running_loop().create_future()
    served = application(key_pair(seed), limits, folder, origins=origins)
    task = asyncio.create_task(serve(served, "127.0.0.1", 0, begun.set_result, over))
    try:
        yield f"http://127.0.0.1:{await begun}"
    finally:
        over.set()
        await task


class Visitor:
    """Node.js with the site's scripts."""

    def __init__(self, built: Path, folder: Path) -> None:
        self.site = built / "site"
        for each in files("idtone.office.site").joinpath("static").iterdir():
            if each.name.endswith(".js"):
                (folder / each.name).write_bytes(each.read_bytes())
        shutil.copy(ROOT / "lab" / "office" / "site" / "lookups.mjs", folder)
        (folder / "package.json").write_text('{"type": "module"}')
        self._command = [*find_or_get_node(), str(folder / "lookups.mjs"), str(self.site)]

    async def asks(self, address: str, *questions: dict[str, Any]) -> list[Any]:
        process = await asyncio.create_subprocess_exec(
            *self._command, address, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate(json.dumps(questions).encode())
        found: list[Any] = json.loads(out)
        return found


def question(
    *asked: str,
    now: datetime | None = None,
    root: str = "",
    members: tuple[str, ...] = ("m-0001",),
    altered: Mapping[str, bytes] = {},
    once: bool = False,
    without: str = "",
    seen: str = "",
) -> dict[str, Any]:
    """Question to the site. `altered` are files of the site that its host has changed; if `once`, at the first look
    only. The browser lacks the algorithm `without`, and has seen an edition that was issued at `seen`.
    """
    return {
        "once": once, "without": without, "seen": seen,
        "now": (now or datetime.now(UTC)).isoformat(), "root": root, "asked": asked, "members": members,
        "altered": {name: base64.b64encode(octets).decode() for name, octets in altered.items()},
    }  # fmt: skip


@pytest.fixture
def visitor(built, tmp_path):
    return Visitor(built, tmp_path)


@pytest.fixture
def seed(built):
    return (built / "authority" / "public-numbers.key").read_bytes()


async def test_a_visitor_gets_the_answer_of_the_signed_registry(visitor, seed):
    root = hashlib.sha256((visitor.site / "metadata" / "1.root.json").read_bytes()).hexdigest()
    async with service(seed) as address:
        [told] = await visitor.asks(address, question(*SPELLINGS, root=root, members=("m-0001", "m-0002")))
    assert told == {"answers": SPELLINGS, "digest": root, "members": {"m-0001": "m-0001", "m-0002": "grey"}}


def spoiled(site: Path, name: str, old: str, new: str) -> dict[str, bytes]:
    text = (site / name).read_text()
    assert old in text
    return {name: text.replace(old, new, 1).encode()}


async def test_a_host_that_lies_is_found(visitor, seed):
    site = visitor.site
    table = statement_of(site)["numbers"]["tables"][""]["file"]
    size = (site / "numbers" / table).stat().st_size
    statement = json.loads((site / "statement" / "statement.json").read_text())
    one_key = {**statement, "signatures": statement["signatures"][:1]}
    twice = {**statement, "signatures": statement["signatures"][:1] * 2}
    lies = {
        "name": spoiled(site, "statement/statement.json", "Good Telecom", "Evil Telecom"),
        "one key": {"statement/statement.json": json.dumps(one_key).encode()},
        "one key twice": {"statement/statement.json": json.dumps(twice).encode()},
        "edition": spoiled(site, "metadata/1.registry.json", '"length"', '"size"'),
        "roots": spoiled(site, "metadata/1.root.json", '"threshold":2', '"threshold":1'),
    }
    others = {
        "another table": question(STOPPED, altered={f"numbers/{table}": bytes(size)}),
        "another association": question(STOPPED, root="0" * 64),
        "expired": question(STOPPED, now=datetime.now(UTC) + timedelta(days=8)),
        "between two editions": question(STOPPED, altered=lies["edition"], once=True),
        "an old browser": question(STOPPED, without="Ed25519"),
        "older than what was seen": question(STOPPED, seen=datetime.now(UTC).isoformat()),
    }
    asked = [question(STOPPED, altered=altered) for altered in lies.values()]
    async with service(seed) as address:
        told = await visitor.asks(address, *asked, *others.values())
    for name, one in zip(lies, told, strict=False):
        assert "not signed by the association" in one["error"], name
        assert (one["answers"], one["members"]) == ({}, {"m-0001": "grey"}), name
    elsewhere, stranger, later, between, old_browser, older = told[len(lies) :]
    assert between["answers"] == {STOPPED: "stopped"}, "the page looks again"
    assert old_browser["error"].startswith("DOMException"), "it says that the browser is old, not that the host lies"
    assert older["error"].startswith("OlderError")
    assert elsewhere["answers"] == {STOPPED: "cannot: another table"}
    assert "another association" in stranger["error"]
    assert (later["answers"], later["members"]) == ({}, {"m-0001": "grey"})
    assert later["error"].startswith("ExpiredError")
    async with service(bytes(32)) as address:
        [told_by_another] = await visitor.asks(address, question(STOPPED))
    assert told_by_another["answers"] == {STOPPED: "cannot: not proven"}


FOREIGN = """
const { mkdtempSync, writeFileSync } = require("node:fs");
const get = async (name) => Buffer.from(await (await fetch(`${process.argv[2]}/${name}`)).arrayBuffer());
(async () => {
  const metadataDir = mkdtempSync(`${process.argv[3]}/kept-`);
  writeFileSync(`${metadataDir}/root.json`, await get("metadata/1.root.json"));
  const updater = new foreign.Updater({ metadataDir, metadataBaseUrl: `${process.argv[2]}/metadata` });
  await updater.refresh();
  const told = {};
  for (const role of process.argv.slice(4)) told[role] = (await updater.getTargetInfo(`${role}.yaml`)).hashes.sha256;
  console.log(JSON.stringify(told));
})();
"""


@pytest.mark.nightly
async def test_a_foreign_tuf_client_verifies_the_editions_that_the_page_names(visitor, seed, tmp_path):
    """tuf-js, which has nothing in common with our own scripts or with python-tuf."""
    editions = {name: each["sha256"] for name, each in statement_of(visitor.site)["editions"].items()}
    script = tmp_path / "foreign.cjs"
    package = await asyncio.to_thread(bundle, "tuf-js", "dist/index.js", "foreign", "node")
    script.write_text(package.read_text("utf-8") + FOREIGN, "utf-8")
    async with service(seed, folder=visitor.site) as address:
        command = [*find_or_get_node(), str(script), address, str(tmp_path), *editions]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
    assert json.loads(out) == editions


def element() -> dict[str, str]:
    return {"blinded": base64.b64encode(group.random_element()).decode()}


async def test_an_address_that_enumerates_gets_so_many_numbers_and_no_more(seed):
    """Each element is one number: wide questions do not exist. What is no element costs nothing."""
    async with service(seed, Limits(hourly=100, hourly_each=6)) as address, aiohttp.ClientSession() as session:

        async def asks(content: Any, visitor: str = "192.0.2.1") -> int:
            async with session.post(f"{address}{PATH}", json=content, headers={"X-Forwarded-For": visitor}) as answer:
                return answer.status

        one = element()
        whole = {"blinded": [one["blinded"]] * 2}
        bad = ({"blinded": ""}, {"blinded": "AAAA"}, {"blinded": base64.b64encode(bytes(32)).decode()}, whole, [], 7)
        assert [await asks(content) for content in bad] == [400] * len(bad)
        assert await asks("x" * 600) == 413
        assert [await asks(one) for _ in range(8)] == [200] * 6 + [429] * 2
        assert await asks(one, "192.0.2.2") == 200
        assert await asks(one, "192.0.2.2, 198.51.100.7") == 200, "the proxy's own word counts, not the visitor's"


async def test_only_the_site_and_its_mirrors_may_spend_a_visitors_numbers(seed):
    mirror = "https://mirror.example.jp"
    async with (
        service(seed, Limits(hourly=100, hourly_each=2), origins=[mirror]) as address,
        aiohttp.ClientSession() as session,
    ):

        async def asks(origin: str) -> tuple[int, str | None]:
            async with session.post(f"{address}{PATH}", json=element(), headers={"Origin": origin}) as answer:
                return answer.status, answer.headers.get("Access-Control-Allow-Origin")

        for foreign in ("https://evil.example", "null", f"{mirror}.evil.example"):
            assert await asks(foreign) == (403, None)
        assert [await asks(origin) for origin in (mirror, address, mirror)] == [
            (200, mirror),
            (200, address),
            (429, mirror),
        ]


async def test_files_are_served_in_whole_and_in_part_and_no_name_breaks_the_service(built, seed):
    sound = (built / "site" / "sounds" / "sample.wav").read_bytes()
    async with service(seed, folder=built / "site") as address, aiohttp.ClientSession() as session:

        async def get(name: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
            url = URL(f"{address}/{name}", encoded=True)
            async with session.request(method, url, headers=headers) as answer:
                return answer.status, answer.headers["Content-Type"], await answer.read()

        assert await get("sounds/sample.wav") == (200, "audio/wav", sound)
        assert await get("sounds/sample.wav", Range="bytes=4-7") == (206, "audio/wav", sound[4:8])
        assert await get("", "HEAD") == (200, "text/html; charset=utf-8", b"")
        for name in ("a%00b", "x" * 300, "..%2fauthority%2fpublic-numbers.key", "none"):
            assert (await get(name))[0] == 404, name


@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384"])
async def test_the_page_verifies_each_kind_of_key_that_the_office_accepts(visitor, kind, tmp_path):
    private = (
        ed25519.Ed25519PrivateKey.generate()
        if kind == "ed25519"
        else ec.generate_private_key(ec.SECP256R1() if kind == "p256" else ec.SECP384R1())
    )
    signer = CryptoSigner(private)
    script = tmp_path / "keys.mjs"
    script.write_text(
        'import { verifies } from "./trust.js";\n'
        "const [key, sig] = JSON.parse(process.argv[2]);\n"
        "const judged = (words) => verifies(key, sig, new TextEncoder().encode(words));\n"
        'console.log(JSON.stringify([await judged("signed"), await judged("other")]));\n'
    )
    key = signer.public_key
    given = {"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval}
    told = json.dumps([given, signer.sign(b"signed").signature])
    process = await asyncio.create_subprocess_exec(*find_or_get_node(), script, told, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert json.loads(out) == [True, False]


@pytest.mark.parametrize(("addresses", "tries", "learnt"), [(1, 7, 6), (2, 7, 12), (10_000, 1, 36)])
def test_a_botnet_learns_no_more_than_all_visitors_may(addresses, tries, learnt):
    """An hour, a hundredth of the default for all: what counts is the lower of the two limits."""
    rate = RateLimit(36, 6)
    names = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(addresses)]
    assert sum(rate.admits(name, float(turn)) for turn in range(tries) for name in names) == learnt
