"""Sign-in by OpenID Connect at a small real provider: the complete procedure, and each kind of token that proves
nothing.
"""

import logging
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import OctKey, RSAKey

from idtone.console.access.begun_sign_ins import NotBegunError
from idtone.console.access.cookies import OPENID, SESSION
from idtone.console.access.rights import Role
from idtone.console.access.sign_in_method import SIGN_IN_METHOD
from idtone.console.server import make_application
from idtone.core.errors import DocumentError, UsageError
from idtone.core.settings.console import SignInBy
from idtone.core.settings.settings import Settings
from lab.console.openid_provider import CLIENT, SECRET, OpenIdProvider, provider
from lab.console.site import Answer, Site, Visitor, running_site


@pytest.fixture
async def login() -> AsyncIterator[OpenIdProvider]:
    async with provider() as one:
        yield one


@pytest.fixture
async def site(settings: Settings, login: OpenIdProvider, tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(with_openid(settings, tmp_path, issuer=login.issuer)) as one:
        yield one


def with_openid(settings: Settings, folder: Path, **more: str) -> Settings:
    (folder / "openid.secret").write_text(f"{SECRET}\n")
    openid = {"client_id": CLIENT, "client_secret_file": folder / "openid.secret", **more}
    console = settings.console.model_copy(
        update={"sign_in": SignInBy.OPENID, "openid": settings.console.openid.model_copy(update=openid)}
    )
    return settings.model_copy(update={"console": console})


async def at_provider(visitor: Visitor) -> str:
    """Begin a sign-in, and let the provider agree. Returns the path to which the provider redirects."""
    begun = await visitor.get("/sign-in/begin")
    assert begun.status == 303, begun.text
    async with visitor.http.get(begun.headers["Location"], allow_redirects=False) as agreed:
        return agreed.headers["Location"].removeprefix(visitor.site.address)


async def signed_in(visitor: Visitor) -> Answer:
    return await visitor.get(await at_provider(visitor))


async def test_the_whole_way(site, login):
    visitor = await site.visitor()
    page = await visitor.get((await visitor.get("/now")).headers["Location"])
    assert f'href="{site.address}/sign-in/begin"' in page.text
    begun = await visitor.get("/sign-in/begin")
    assert re.match(
        rf"{OPENID.name}=\S+; HttpOnly; Max-Age=600; Path=/; SameSite=Lax; Secure$", begun.headers["Set-Cookie"]
    )
    answer = await signed_in(visitor)
    assert (answer.status, "Location" in answer.headers) == (200, False), "a redirect would not carry a Strict cookie"
    assert '<meta http-equiv="refresh" content="0; url=/">' in answer.text
    cookies = answer.headers.getall("Set-Cookie")
    assert any(re.match(rf"{SESSION.name}=\S+; HttpOnly; Path=/; SameSite=Strict; Secure$", each) for each in cookies)
    assert (await visitor.get("/now")).status == 200
    assert (await visitor.send("/now", "/sign-out")).status == 303
    assert (await visitor.get("/now")).status == 303


OTHER = RSAKey.generate_key(2048, {"kid": "1"})
FORGED = {
    "another issuer": ("'iss'", {"forge": lambda claims: claims | {"iss": "https://evil.example"}}),
    "no issuer": ("'iss'", {"forge": lambda claims: claims | {"iss": None}}),
    "another audience": ("'aud'", {"forge": lambda claims: claims | {"aud": "another"}}),
    "two audiences, made for the other": (
        "'azp'",
        {"forge": lambda claims: claims | {"aud": [CLIENT, "x"], "azp": "x"}},
    ),
    "another nonce": ("'nonce'", {"forge": lambda claims: claims | {"nonce": "x"}}),
    "no nonce": ("'nonce'", {"forge": lambda claims: claims | {"nonce": None}}),
    "expired": ("expired", {"forge": lambda claims: claims | {"exp": int(time.time()) - 120}}),
    "never expires": ("'exp'", {"forge": lambda claims: claims | {"exp": None}}),
    "of tomorrow": ("not yet valid", {"forge": lambda claims: claims | {"nbf": int(time.time()) + 86400}}),
    "no signature": ("'none' is not allowed", {"header": {"alg": "none"}}),
    "another key of this name": ("bad_signature", {"signs_with": OTHER}),
    "a key that nobody knows": ("No key for kid", {"signs_with": OTHER, "header": {"alg": "RS256", "kid": "2"}}),
    "the public key as a shared secret": (
        "'HS256' is not allowed",
        {"header": {"alg": "HS256", "kid": "1"}, "signs_with": OctKey.generate_key(256)},
    ),
    "nobody": ("'sub'", {"user": {"sub": ""}}),
    "no text": ("'sub'", {"user": {"sub": ["viewer"]}}),
    "no user of the console": ("not in the file of users", {"user": {"sub": "nobody"}}),
    "no name of its provider": ("does not name its provider", {"answers_iss": False}),
}


@pytest.mark.parametrize("what", FORGED)
async def test_what_proves_nothing_is_refused(site, login, what, caplog):
    why, changes = FORGED[what]
    for name, value in changes.items():
        setattr(login, name, value)
    visitor = await site.visitor()
    with caplog.at_level(logging.WARNING):
        answer = await signed_in(visitor)
    assert answer.status == 403, answer.text
    assert SESSION.name not in visitor.cookies
    assert caplog.messages[-1].startswith("a sign-in failed: an unknown name, from 127.0.0.1: ")
    assert why in caplog.messages[-1]


async def test_an_answer_counts_once_and_in_its_browser(site, login):
    victim, attacker = await site.visitor(), await site.visitor()
    way_back = await at_provider(victim)
    assert (await attacker.get(way_back)).status == 403, "without the cookie"
    assert (await victim.get(way_back)).status == 403, "the state is used up"
    way_back = await at_provider(victim)
    await attacker.get("/sign-in/begin")
    assert (await attacker.get(way_back)).status == 403, "with another sign-in's cookie"
    way_back = await at_provider(victim)
    assert (await victim.get(way_back)).status == 200
    assert (await victim.get(way_back)).status == 403, "the same answer again"
    begun = parse_qs(urlsplit((await victim.get("/sign-in/begin")).headers["Location"]).query)
    used = parse_qs(urlsplit(way_back).query)["code"][0]
    replayed = f"/sign-in/back?code={used}&state={begun['state'][0]}&iss={login.issuer}"
    assert (await victim.get(replayed)).status == 403, "a code that was used, in a new sign-in"
    refused = await victim.get("/sign-in/begin")
    state = parse_qs(urlsplit(refused.headers["Location"]).query)["state"][0]
    answer = await victim.get(f"/sign-in/back?error=<script>&state={state}&iss={login.issuer}")
    assert (answer.status, "<script>" in answer.text) == (403, False)


async def test_many_sign_ins_that_others_begin_push_none_out(site, login):
    """In an earlier version, 1,000 of them did. Now each sign-in is in its cookie."""
    visitor = await site.visitor()
    way_back = await at_provider(visitor)
    begun = site.app[SIGN_IN_METHOD]._begun
    for number in range(2000):
        begun.begin()
        with suppress(NotBegunError):
            begun.ended("", str(number))
    assert (await visitor.get(way_back)).status == 200


async def test_no_line_of_the_log_can_be_forged(site, login, caplog):
    visitor = await site.visitor()
    state = parse_qs(urlsplit((await visitor.get("/sign-in/begin")).headers["Location"]).query)["state"][0]
    forged = "x%0A2026-12-01%20info%20administrator%20signed%20in%1B%5B2J%E2%80%A8y"
    assert (await visitor.get(f"/sign-in/back?error={forged}&state={state}&iss={login.issuer}")).status == 403
    assert caplog.messages[-1].isprintable()
    assert "administrator signed in" in caplog.messages[-1]


async def test_a_new_key_of_the_provider_counts_at_once(site, login, monkeypatch):
    assert (await signed_in(await site.visitor())).status == 200
    login.key, login.header = RSAKey.generate_key(2048, {"kid": "next"}), {"alg": "RS256", "kid": "next"}
    monkeypatch.setattr("idtone.console.access.openid_provider.KEYS_EVERY_S", 0.0)
    assert (await signed_in(await site.visitor())).status == 200


async def test_an_address_counts_only_verified(settings, login, tmp_path):
    async with running_site(with_openid(settings, tmp_path, issuer=login.issuer, claim="email")) as site:
        for verified, status in ((True, 200), (False, 403), (None, 403), ("true", 403)):
            login.user = {"sub": "1", "email": str(Role.VIEWER), "email_verified": verified}
            assert (await signed_in(await site.visitor())).status == status, verified


async def test_a_context_that_is_demanded_must_be_confirmed(settings, login, tmp_path, caplog):
    async with running_site(with_openid(settings, tmp_path, issuer=login.issuer, acr="urn:two")) as site:
        begun = await (await site.visitor()).get("/sign-in/begin")
        assert parse_qs(urlsplit(begun.headers["Location"]).query)["acr_values"] == ["urn:two"]
        for confirmed, status in (("urn:two", 200), ("urn:one", 403), (None, 403), (["urn:two"], 403)):
            login.user = {"sub": str(Role.VIEWER), "acr": confirmed}
            assert (await signed_in(await site.visitor())).status == status, confirmed
    assert "does not confirm the authentication context urn:two" in caplog.messages[-1]


async def test_a_provider_that_is_away_or_another_is_said(settings, login, tmp_path):
    login_issuer, login.issuer = login.issuer, "https://evil.example"
    async with running_site(with_openid(settings, tmp_path, issuer=login_issuer)) as site:
        answer = await (await site.visitor()).get("/sign-in/begin")
        assert (answer.status, "calls itself" in answer.text) == (503, True)
    async with running_site(with_openid(settings, tmp_path, issuer="http://127.0.0.1:9")) as site:
        answer = await (await site.visitor()).get("/sign-in/begin")
        assert (answer.status, "127.0.0.1:9 does not answer" in answer.text) == (503, True)


def test_what_the_settings_lack_is_named(settings, tmp_path, monkeypatch):
    with pytest.raises(DocumentError, match=r"(?s)openid\.client_id.*openid\.issuer"):
        make_application(with_openid(settings, tmp_path, client_id=""))
    monkeypatch.delitem(sys.modules, "idtone.console.access.by_openid")
    monkeypatch.setitem(sys.modules, "authlib.oauth2.rfc6749.parameters", None)
    with pytest.raises(UsageError, match=r"pip install 'idtone\[openid\]'"):
        make_application(with_openid(settings, tmp_path, issuer="https://login.example"))
