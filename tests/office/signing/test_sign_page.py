"""`idtone-sign`: a holder signs on a page of their own computer; no other page or user can."""

import asyncio
import io
import re
import shutil
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from securesystemslib.signer import CryptoSigner

from idtone.core.signing_keys import load_key, load_public
from idtone.office.authority.prepared_package import PreparedPackage, accept_copy
from idtone.office.authority.workspace import Workspace
from idtone.office.signing.address_guard import PageAddress
from idtone.office.signing.holder import Holder
from idtone.office.signing.holders_root import StoredRoot
from idtone.office.signing.signing_server import SigningServer
from lab import pkcs11_token
from lab.office.authority.office import PHRASE, WHY, Office

NUMBERS = "0662340000-0662349999"
WORDS = "four whole words, unrelated"


class Page:
    """A holder's browser; it sends the headers that every present browser sends."""

    def __init__(self, address: PageAddress, session: aiohttp.ClientSession) -> None:
        self.address, self._session = address, session
        self.shown = ""

    async def text(self, path: str = "") -> str:
        async with self._session.get(self.address.url() + path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    async def octets(self, path: str) -> bytes:
        async with self._session.get(self.address.url() + path) as answer:
            assert answer.status == 200
            return await answer.read()

    async def send(self, act: str, *, status: int = 200, **fields: str | bytes) -> str:
        """The page that answers the act. Fields of bytes are sent as files."""
        shown = {"shown": self.shown} if act == "sign" else {}
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in ({"act": act} | shown | fields).items():
            form.add_field(name, value, filename=f"{name}.file" if isinstance(value, bytes) else None)
        headers = {"Origin": self.address.origin, "Sec-Fetch-Site": "same-origin"}
        async with self._session.post(self.address.url() + act, data=form, headers=headers) as answer:
            assert answer.status == status, await answer.text()
            text = await answer.text()
            if found := re.search('name="shown" value="([0-9a-f]{64})"', text):
                self.shown = found[1]
            return text


@asynccontextmanager
async def opened(folder: Path, key: str = "") -> AsyncIterator[Page]:
    async with (
        SigningServer(Holder(StoredRoot(folder / "kept"), key)).serve() as address,
        aiohttp.ClientSession(headers={"Accept-Language": "en"}) as session,
    ):
        yield Page(address, session)


@pytest.fixture
def prepared(office: Office) -> PreparedPackage:
    """A package with numbers of Osaka that waits for two registry keys and two duty keys."""
    office.json("number assign", "m-0002", *WHY, typed=f"{NUMBERS}\n")
    package = PreparedPackage(Workspace(office.folder))
    package.prepare(datetime.now(UTC))
    return package


async def test_four_holders_sign_on_their_own_pages_and_the_last_signature_publishes(office, prepared, tmp_path):
    published: list[str] = []
    for name in ("registry-1", "registry-3", "duty-1", "duty-2"):
        async with opened(tmp_path / name) as page:
            assert "Keep this root" in await page.text()
            asked = await page.send("open", package=prepared.to_zip(datetime.now(UTC)), status=400)
            assert "give the root that you keep" in asked
            await page.send("root", root=office.root.read_bytes())
            shown = await page.send("open", package=prepared.to_zip(datetime.now(UTC)))
            assert "member m-0002: assigned: 06-6234-0000 to 06-6234-9999 (10,000 numbers)" in shown
            assert "numbers assigned, by area code: 06: 10,000 numbers" in shown
            key = office.key(name).read_bytes()
            assert "the passphrase is wrong" in await page.send("sign", key=key, passphrase=PHRASE[1:], status=400)
            told = await page.send("sign", key=key, passphrase=PHRASE)
            assert f"Signed with the key {office.key_id(name)[:8]}" in told
            (tmp_path / "signed.zip").write_bytes(await page.octets("signed.zip"))
            assert 'role="alert"' not in await page.send("close"), "the next package can be opened"
        published = accept_copy([prepared], tmp_path / "signed.zip", datetime.now(UTC))
        assert bool(published) is (name == "duty-2")
    assert "registry" in published


def zipped(folder: Path) -> bytes:
    return Path(shutil.make_archive(str(folder), "zip", folder)).read_bytes()


async def test_a_holder_reads_and_signs_what_the_public_site_states(office, tmp_path):
    package = tmp_path / "package"
    office.json("site prepare", "--package", package)
    octets = zipped(package)
    async with opened(tmp_path / "holder") as page:
        assert "give the root that you keep" in await page.send("open", package=octets, status=400)
        await page.send("root", root=office.root.read_bytes())
        assert "first edition; take the tick away" in await page.send("open", package=octets, first="yes", status=400)
        other = changed(octets, "site/statement.json", lambda text: text.replace(b"m-0001", b"m-0002"))
        assert "is not what the published registry says" in await page.send("open", package=other, status=400)
        shown = await page.send("open", package=octets)
        assert "What your signature states on the public site" in shown
        assert "licensed: m-0001" in shown
        assert "were not compared with the registry" in shown
        told = await page.send("sign", key=office.key("duty-2").read_bytes(), passphrase=PHRASE)
        assert f"Signed with the key {office.key_id('duty-2')[:8]}: public-site" in told
        (tmp_path / "signed.zip").write_bytes(await page.octets("signed.zip"))
    _, assembled, _ = office.run("site assemble", package, tmp_path / "signed.zip", "--json")
    assert assembled["signatures"] == [office.key_id("duty-2")]


async def test_a_key_that_may_not_sign_a_damaged_package_and_a_foreign_root_are_refused(office, prepared, tmp_path):
    octets, root = prepared.to_zip(datetime.now(UTC)), office.root.read_bytes()
    async with opened(tmp_path) as page:
        assert "is not what the association signed" in await page.send("root", root=b"{}", status=400)
        assert "first edition; take the tick away" in await page.send("open", package=octets, first="yes", status=400)
        await page.send("root", root=root)
        for damaged, fault in (
            (b"PK", "package.file: is not the ZIP of a package"),
            (changed(octets, "after/targets/", lambda text: text.replace(b"2345", b"2346")), "not the file that was"),
            (changed(octets, "before/targets/", lambda text: text + b"#"), "not the file that was"),
        ):
            assert fault in await page.send("open", package=damaged, status=400)
            assert "no package is open" in await page.send("sign", key=b"x", passphrase=PHRASE, status=400)
        await page.send("open", package=octets)
        key = office.key("root-1").read_bytes()
        told = await page.send("sign", key=key, passphrase=PHRASE, status=400)
        assert "nothing in package.file takes the signature of this key" in told
        assert "choose the file of your key" in await page.send("sign", passphrase=PHRASE, status=400)
        other = await page.send("sign", token=str(office.key("duty-1")), passphrase=PHRASE, status=400)
        assert "is not a key in a token" in other


def changed(octets: bytes, where: str, change: Callable[[bytes], bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(octets)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name.startswith(where) else old.read(name))
    return made.getvalue()


async def test_only_what_the_form_showed_is_signed(office, prepared, tmp_path):
    """In the meantime, another tab has opened another package."""
    first = prepared.to_zip(datetime.now(UTC))
    office.json("number assign", "m-0002", *WHY, typed="0662350000\n")
    prepared.prepare(datetime.now(UTC))
    key = office.key("registry-1").read_bytes()
    async with opened(tmp_path) as page:
        await page.send("root", root=office.root.read_bytes())
        await page.send("open", package=first)
        shown = page.shown
        await page.send("open", package=prepared.to_zip(datetime.now(UTC)))
        told = await page.send("sign", shown=shown, key=key, passphrase=PHRASE, status=400)
        assert "another package is open now than the one that you read" in told
        assert "06-6235-0000" in told, "the page shows it"
        assert "Signed with the key" in await page.send("sign", key=key, passphrase=PHRASE)


async def test_a_token_signs(office, prepared, tmp_path):
    """The package has a rotation, and its ZIP contains the folder itself."""
    with pkcs11_token.softhsm(tmp_path, "sato") as library, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYKCS11LIB", str(library))
        pkcs11_token.new_key(library, "sato", 7, pkcs11_token.P256)
        office.monkeypatch.setenv("IDTONE_PASSPHRASE", pkcs11_token.PIN)
        office.run("key new", "hsm:7?label=sato", "--public", tmp_path / "duty-9.pub")
        office.monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
        new = ["--public", f"duty={tmp_path / 'duty-9.pub'}", *office.new_keys("duty-5", "duty-6", "duty-7")]
        office.json("key rotate", *new, *WHY, "--package", tmp_path / "package")
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for path in (tmp_path / "package").rglob("*.*"):
                archive.write(path, path.relative_to(tmp_path))  # with its folder, as people zip it
        async with opened(tmp_path, "hsm:7?label=sato") as page:
            await page.send("root", root=office.root.read_bytes())
            assert "the set duty signs with 2 of 4 keys" in await page.send("open", package=made.getvalue())
            assert "PinIncorrect" in await page.send("sign", passphrase=pkcs11_token.PIN[::-1], status=400)
            told = await page.send("sign", passphrase=pkcs11_token.PIN)
            assert f"Signed with the key {load_public(tmp_path / 'duty-9.pub').keyid[:8]}: suspensions" in told


@pytest.mark.parametrize(
    ("name", "phrase", "again", "fault"),
    [
        ("registry-1", "", "", "the passphrase is empty"),
        ("registry-1", "password123", "password123", "easy to guess"),
        ("registry-1", "hashimoto2024", "hashimoto2024", "easy to guess"),
        ("registry-1", WORDS, "another", "the two differ"),
        ("../x", WORDS, WORDS, "a name of letters"),
    ],
)
async def test_a_new_key_needs_a_name_and_a_good_passphrase(tmp_path, name, phrase, again, fault):
    async with opened(tmp_path) as page:
        told = await page.send("new-key", name=name, passphrase=phrase, again=again, status=400)
        assert fault in told


async def test_a_holder_makes_a_key_without_a_shell(tmp_path):
    async with opened(tmp_path) as page:
        told = await page.send("new-key", name="registry-1.pem", passphrase=WORDS, again=WORDS)
        assert 'download="registry-1.pem"' in told
        for ending in (".pem", ".pub"):
            path = tmp_path / f"registry-1{ending}"
            path.touch(0o600)
            path.write_bytes(await page.octets(f"key{ending}"))
        key = load_key(tmp_path / "registry-1.pem", WORDS)
        assert isinstance(key, CryptoSigner)
        assert load_public(tmp_path / "registry-1.pub").keyid == key.public_key.keyid
        assert key.public_key.keyid in told
        offered = re.search('class="mono">([a-z-]{29})<', await page.send("forget-key"))
        assert offered
        async with aiohttp.ClientSession() as session, session.get(page.address.url() + "key.pem") as answer:
            assert answer.status == 404
        told = await page.send("new-key", name="duty-1", passphrase=offered[1], again=offered[1])
        assert 'download="duty-1.pem"' in told, "what chance made is good enough"


OWN = {"Host": "127.0.0.1:7000", "Origin": "http://127.0.0.1:7000", "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/secret/", {"Host": "127.0.0.1:7000"}, None),
        ("GET", "/secret/", {"Host": "127.0.0.1:7000", "Sec-Fetch-Site": "cross-site"}, None),  # from the leading file
        ("POST", "/secret/sign", OWN, None),
        ("POST", "/secret/sign", {"Host": "127.0.0.1:7000", "Origin": "http://127.0.0.1:7000"}, None),
        ("GET", "/secret/", {"Host": "evil.example:7000"}, 421),  # DNS rebinding
        ("GET", "/secret/", {"Host": "localhost:7000"}, 421),
        ("GET", "/secret/", {}, 421),
        ("GET", "/", OWN, 404),
        ("GET", "/Secret/", OWN, 404),
        ("GET", "/secre\u00e9/", OWN, 404),
        ("POST", "/secret/sign", {**OWN, "Origin": "http://evil.example"}, 403),
        ("POST", "/secret/sign", {**OWN, "Origin": "null"}, 403),
        ("POST", "/secret/sign", {**OWN, "Origin": "http://127.0.0.1:7001"}, 403),  # another program here
        ("POST", "/secret/sign", {"Host": "127.0.0.1:7000"}, 403),
        ("POST", "/secret/sign", {**OWN, "Sec-Fetch-Site": "same-site"}, 403),
        ("PUT", "/secret/", OWN, 405),
    ],
)
def test_who_may_ask(method, path, headers, status):
    assert PageAddress(7000, "secret").refusal_status(method, path, headers) == status


async def test_each_answer_forbids_scripts_frames_and_caches(tmp_path):
    """This holds for a refusal too; it says nothing about the page."""
    async with opened(tmp_path) as page, aiohttp.ClientSession() as stranger:
        for url, status in ((page.address.url(), 200), (page.address.origin + "/", 404)):
            async with stranger.get(url) as answer:
                assert answer.status == status
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert "script" not in answer.headers["Content-Security-Policy"]
                assert answer.headers["Cache-Control"] == "no-store"
                assert ("<h1>" in await answer.text()) is (status == 200)
        async with stranger.post(page.address.url() + "end") as answer:
            assert answer.status == 403


WITHOUT = """\
import sys
for name in {"fcntl", "pwd", "grp", "resource", "termios"}: sys.modules[name] = None
from idtone.office.signing.sign_command import main
main()
"""
"""Program that runs `idtone-sign` without the modules that Windows lacks."""


async def test_the_program_runs_where_windows_does_and_ends_by_its_button(tmp_path):
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WITHOUT,
        "--no-browser",
        "--kept",
        tmp_path,
        stdout=asyncio.subprocess.PIPE,
        env={"LANG": "C.UTF-8", "HOME": str(tmp_path)},
    )
    assert program.stdout
    line = (await program.stdout.readline()).decode()
    found = re.search(r"(http://127\.0\.0\.1:(\d+)/([\w-]{32})/)$", line)
    assert found, line
    async with aiohttp.ClientSession(headers={"Accept-Language": "ja"}) as session:
        page = Page(PageAddress(int(found[2]), found[3]), session)
        assert '<html lang="ja">' in await page.text()
        await page.send("end")
    assert await program.wait() == 0
