"""Sign-in through an OpenID Connect provider: the code flow with PKCE (RFC 7636), state and nonce."""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.log_output import one_line
from idtone.core.settings.console import ConsoleSettings
from idtone.core.terminal.extras import install_command
from idtone.core.text_cleaning import clean_text
from idtone.core.translation import Message
from idtone.core.yaml_documents import read_text

from ..page import Page, Visit
from .begun_sign_ins import BegunSignIns
from .cookies import OPENID, SESSION
from .sign_in_method import PATH
from .visitor_sessions import signed_in

try:
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    from .openid_provider import OpenIdError, Provider
except ImportError as error:
    raise UsageError(
        "console.sign_in: openid needs the library {library}: {command}",
        library=error.name or "",
        command=install_command("openid"),
    ) from error

BEGIN: Final = PATH + "/begin"
BACK: Final = PATH + "/back"
"""Path of the redirect URI, relative to the console's address."""
_SCOPES: Final = {"email": "openid email", "preferred_username": "openid profile", "name": "openid profile"}


class ByOpenId:
    """Sign-in at an OpenID provider. `public` is the console's address as the browser sees it."""

    proof = None

    def __init__(self, settings: ConsoleSettings, public: str) -> None:
        openid = settings.openid
        assert openid.issuer, "ConsoleSettings.check has seen to it"
        assert openid.client_id, "here too"
        secret_file = openid.client_secret_file
        self._provider = Provider(
            openid.issuer,
            openid.client_id,
            lambda: read_text(secret_file, size_limit=4096).strip() if secret_file else None,
            openid.acr,
        )
        self._claim = openid.claim
        self._public = public
        self._begun = BegunSignIns(time.time)
        self.pages = (Page(PATH, self._show, None), Page(BEGIN, self._begin, None), Page(BACK, self._back, None))

    def name_in(self, request: web.Request) -> str | None:
        return None

    async def _show(self, visit: Visit) -> web.StreamResponse:
        return self._page(visit)

    async def _begin(self, visit: Visit) -> web.StreamResponse:
        """Begin a sign-in and redirect the browser to the provider."""
        try:
            metadata = await self._provider.metadata()
        except OpenIdError as error:
            return self._page(visit, HTTPStatus.SERVICE_UNAVAILABLE, error)
        begun, cookie = self._begun.begin()
        answer = visit.redirect(
            prepare_grant_uri(
                metadata["authorization_endpoint"],
                self._provider.client_id,
                "code",
                redirect_uri=self._public + BACK,
                scope=_SCOPES.get(self._claim, "openid"),
                state=begun.state,
                nonce=begun.nonce,
                code_challenge=create_s256_code_challenge(begun.verifier),
                code_challenge_method="S256",
                **({"acr_values": self._provider.acr} if self._provider.acr else {}),
            )
        )
        OPENID.set_on(answer, cookie)
        return answer

    async def _back(self, visit: Visit) -> web.StreamResponse:
        """Sign in a browser that returns with a code.

        The response is a page with a link, not a redirect. After a redirect from the provider, the browser would not
        send the session cookie (SameSite=Strict).
        """
        try:
            name = await self._name(visit)
        except IdtoneError as error:
            visit.console.sign_ins.failed(None, visit.address, str(error))
            return self._page(visit, HTTPStatus.FORBIDDEN, Message("The sign-in did not succeed. Try again."))
        if await visit.console.user(name) is None:
            visit.console.sign_ins.failed(None, visit.address, "the provider's user is not in the file of users")
            unknown = Message("You are not among the users of this console.")
            return self._page(visit, HTTPStatus.FORBIDDEN, unknown)
        answer = visit.render("signed_in.html")
        SESSION.set_on(answer, signed_in(visit, name))
        OPENID.delete_on(answer)
        return answer

    async def _name(self, visit: Visit) -> str:
        """The user's name from the provider's response. Raises IdtoneError."""
        begun = self._begun.ended(OPENID.value_in(visit.request), visit.query("state"))
        metadata = await self._provider.metadata()
        said = visit.request.query.get("iss")  # RFC 9207
        if said is None and metadata.get("authorization_response_iss_parameter_supported"):
            raise OpenIdError("the answer does not name its provider")
        if said is not None and said != self._provider.issuer:
            raise OpenIdError("the answer is of another provider")
        if not visit.query("code"):
            raise OpenIdError(
                "the provider gave no code: {reason}", reason=one_line(clean_text(visit.query("error")))[:100]
            )
        claims = await self._provider.claims(visit.query("code"), begun.verifier, self._public + BACK, begun.nonce)
        return _name_in(claims, self._claim)

    def _page(
        self, visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | Message | None = None
    ) -> web.Response:
        return visit.render("openid.html", status, begin=self._public + BEGIN, problem=problem)


def _name_in(claims: Mapping[str, Any], claim: str) -> str:
    """The user's name from a claim in the ID token. Raises OpenIdError."""
    if claim == "email" and claims.get("email_verified") is not True:
        raise OpenIdError("the provider has not verified the e-mail address")
    name = claims.get(claim)
    if not isinstance(name, str) or not name:
        raise OpenIdError("the ID token has no claim {claim}", claim=claim)
    return name
