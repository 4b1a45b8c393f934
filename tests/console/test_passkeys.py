"""Passkeys: one is made, signs in, and is removed; and the requests that an attacker sends instead."""

import hashlib
import html
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from idtone.console.access.passkeys import CHALLENGE_S, Challenges
from idtone.console.access.rights import Role
from idtone.console.access.users import change_users, read_users
from idtone.console.administration.user_rules import lock
from lab.console.site import PASSWORD, Answer, Site, Visitor

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


@dataclass
class Authenticator:
    """A device with one passkey, which always finds its owner's finger."""

    host: str = "localhost"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = b"passkey-0123456789"
    count: int = 0
    flags: int = PRESENT | VERIFIED

    def made(self, options: Mapping[str, Any], origin: str) -> str:
        numbers = self.key.public_key().public_numbers()
        x, y = (each.to_bytes(32, "big") for each in (numbers.x, numbers.y))
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        about = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + public
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._head(ATTESTED) + about}
        said = self._said("webauthn.create", options, origin)
        return self._answer({"clientDataJSON": text(said), "attestationObject": text(cbor2.dumps(attestation))})

    def signed(self, options: Mapping[str, Any], origin: str) -> str:
        self.count += 1
        said, head = self._said("webauthn.get", options, origin), self._head(0)
        signature = self.key.sign(head + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {"clientDataJSON": text(said), "authenticatorData": text(head), "signature": text(signature)}
        )

    def _head(self, more: int) -> bytes:
        flags = bytes([self.flags | more])
        return hashlib.sha256(self.host.encode()).digest() + flags + self.count.to_bytes(4, "big")

    @staticmethod
    def _said(what: str, options: Mapping[str, Any], origin: str) -> bytes:
        return json.dumps({"type": what, "challenge": options["challenge"], "origin": origin}).encode()

    def _answer(self, response: Mapping[str, str]) -> str:
        name = text(self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


@dataclass
class ByName:
    """A browser that opens the console as localhost, because an IP address has no passkeys."""

    visitor: Visitor

    @property
    def origin(self) -> str:
        return self.visitor.site.address.replace("127.0.0.1", "localhost")

    @property
    def _headers(self) -> dict[str, str]:
        return {"Host": self.origin.removeprefix("http://")}

    async def get(self, path: str) -> Answer:
        return await self.visitor.get(path, **self._headers)

    async def post(self, path: str, **fields: str) -> Answer:
        return await self.visitor.post(path, fields, Origin=self.origin, **self._headers)

    async def sign_in(self, answer: Callable[[Mapping[str, Any]], str]) -> Answer:
        return await self.post("/sign-in/passkey", credential=answer(options_of(await self.get("/sign-in"))))


def options_of(page: Answer) -> dict[str, Any]:
    (found,) = re.findall(r'data-options="([^"]+)"', page.text)
    parsed: dict[str, Any] = json.loads(html.unescape(found))
    return parsed


async def with_passkey(site: Site, device: Authenticator) -> ByName:
    """A viewer who has made a passkey."""
    viewer = ByName(await site.visitor(Role.VIEWER))
    token = (await viewer.get("/account")).form_token
    page = await viewer.post("/account/passkey", form_token=token, password=PASSWORD, name="my key")
    answer = device.made(options_of(page), viewer.origin)
    made = await viewer.post("/account/passkey/add", form_token=page.form_token, credential=answer)
    assert (made.status, made.headers.get("Location")) == (303, "/account?done=passkey"), made.text
    return viewer


async def test_a_passkey_is_made_signs_in_and_is_removed(site, settings):
    device = Authenticator()
    viewer = await with_passkey(site, device)
    browser = ByName(await site.visitor())
    assert (await browser.sign_in(lambda options: device.signed(options, browser.origin))).status == 303
    assert (await browser.get("/account")).text.count("my key") == 2
    (kept,) = (each for user in read_users(settings.console.users).users for each in user.passkeys)
    assert kept.count == 1
    token = (await viewer.get("/account")).form_token
    assert (await viewer.post("/account/passkey/remove", form_token=token, passkey=kept.id)).status == 403
    gone = await viewer.post("/account/passkey/remove", form_token=token, passkey=kept.id, password=PASSWORD)
    assert gone.status == 303
    assert (await browser.get("/account")).status == 303, "its sessions have ended"
    assert (await browser.sign_in(lambda options: device.signed(options, browser.origin))).status == 403


async def test_a_passkey_is_made_with_the_password_alone_and_not_under_an_address(site):
    by_name, by_address = ByName(await site.visitor(Role.VIEWER)), await site.visitor(Role.VIEWER)
    token = (await by_name.get("/account")).form_token
    wrong = await by_name.post("/account/passkey", form_token=token, password="wrong", name="x")  # noqa: S106
    assert wrong.status == 403
    fields = {"password": PASSWORD, "name": "x"}
    assert (await by_address.send("/account", "/account/passkey", fields)).status == 400
    assert "data-options" not in (await (await site.visitor()).get("/sign-in")).text
    never_begun = await by_name.post("/account/passkey/add", form_token=token, credential="{}")
    assert never_begun.status == 403


async def test_whoever_knows_a_given_password_makes_no_passkey_that_outlives_it(site, settings):
    device = Authenticator()
    viewer = await with_passkey(site, device)
    given_until = datetime.now(UTC) + timedelta(days=1)

    def given(users):  # as an administrator gives one, but with the passkey of before
        users["viewer"] = users["viewer"].model_copy(update={"given_until": given_until, "code_due": True})

    change_users(settings.console.users, given)
    page = await viewer.get("/account")
    assert "Add a passkey" not in page.text
    fields = {"form_token": page.form_token, "password": PASSWORD, "name": "x"}
    assert (await viewer.post("/account/passkey", **fields)).status == 403
    added = await viewer.post("/account/passkey/add", form_token=page.form_token, credential="{}")
    assert "Choose your own password" in added.text
    new = "several words, easy to remember"
    assert (await viewer.post("/account/password", **fields, new=new, again=new)).status == 303
    assert [user.passkeys for user in read_users(settings.console.users).users if user.name == "viewer"] == [()]


async def test_what_an_attacker_sends_signs_nobody_in(site, settings):
    device = Authenticator()
    await with_passkey(site, device)
    browser = ByName(await site.visitor())
    other = Authenticator(id=device.id)
    unverified = Authenticator(key=device.key, flags=PRESENT)
    elsewhere = Authenticator(key=device.key, host="evil.example")
    unknown = Authenticator(key=device.key, id=b"another")
    of_other_site = Authenticator(key=device.key)
    foreign = {"challenge": text(Challenges().new())}
    sent: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "another key": lambda options: other.signed(options, browser.origin),
        "no finger": lambda options: unverified.signed(options, browser.origin),
        "another host": lambda options: elsewhere.signed(options, browser.origin),
        "another origin": lambda options: of_other_site.signed(options, "https://evil.example"),
        "an unknown passkey": lambda options: unknown.signed(options, browser.origin),
        "a challenge that is not ours": lambda options: device.signed(foreign, browser.origin),
        "what a registration says": lambda options: device.made(options, browser.origin),
        "no JSON": lambda options: "{",
        "no object": lambda options: "[]",
        "no fields": lambda options: "{}",
        "deep": lambda options: "[" * 10_000,
        "damaged": lambda options: device.signed(options, browser.origin).replace('"signature": "M', '"signature": "A'),
    }
    for name, answer in sent.items():
        refused = await browser.sign_in(answer)
        assert (refused.status, "The passkey was not accepted" in refused.text) == (403, True), name
    once = device.signed(options_of(await browser.get("/sign-in")), browser.origin)
    assert (await browser.post("/sign-in/passkey", credential=once)).status == 303
    assert (await browser.post("/sign-in/passkey", credential=once)).status == 403, "the same again"
    device.count = 0
    cloned = await browser.sign_in(lambda options: device.signed(options, browser.origin))
    assert cloned.status == 403, "a copy that counts from the beginning"
    change_users(settings.console.users, lambda users: lock(users, "viewer", "administrator"))
    device.count = 9
    assert (await browser.sign_in(lambda options: device.signed(options, browser.origin))).status == 403


def test_a_challenge_counts_once_and_for_five_minutes():
    now = [1e9]
    challenges = Challenges(lambda: now[0])
    first, second = challenges.new(), challenges.new()
    assert [challenges.takes(each) for each in (first, first, first[:-1] + b"x", b"")] == [True, False, False, False]
    now[0] += CHALLENGE_S + 1
    assert not challenges.takes(second)
