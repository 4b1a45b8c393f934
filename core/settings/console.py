"""The settings under `console`: where it listens, who may use it, and how persons sign in."""

from enum import StrEnum
from pathlib import Path

from ..documents import Model
from ..errors import DocumentError, Fault
from ..translation import Message
from .values import BrowserAddress, ConsoleAddress, IssuerUrl, PrometheusUrl, split_port


class SignInBy(StrEnum):
    """How persons sign in to the console."""

    PASSWORD = "password"  # noqa: S105 — the name of a way
    PROXY = "proxy"
    OPENID = "openid"


class OpenIdSettings(Model):
    """The provider that signs persons in to the console, and how it knows the console."""

    issuer: IssuerUrl | None = None
    client_id: str | None = None
    client_secret_file: Path | None = None
    """None: a public client."""
    claim: str = "sub"
    """The claim of the ID token that is the user's name in the file of users."""
    acr: str | None = None
    """The authentication context class that the provider must confirm; None: any."""


class ConsoleSettings(Model):
    """Where the console listens, and who may use it."""

    listen: ConsoleAddress = "127.0.0.1:8720"
    group: str | None = None
    """Whose members may connect to a Unix socket; None: only the console's own user."""
    address: BrowserAddress | None = None
    """The address in the browser, if a proxy is before the console."""
    users: Path = Path("/var/lib/idtone/console-users.yaml")
    sign_in: SignInBy = SignInBy.PASSWORD
    proxy_header: str = "X-Remote-User"
    """The header in which the proxy names the user."""
    openid: OpenIdSettings = OpenIdSettings()
    office: Path | None = None
    """The association's folder."""
    prometheus: PrometheusUrl | None = None
    """The address of the operator's Prometheus, whose alerts the console shows."""

    def socket(self) -> Path | tuple[str, int]:
        """The path of a Unix socket, or an IP address and a port."""
        if self.listen.startswith("unix:"):
            return Path(self.listen.removeprefix("unix:"))
        return split_port(self.listen)

    def check(self) -> None:
        """Raises DocumentError if keys do not fit each other."""
        is_unix = self.listen.startswith("unix:")
        proxy, openid = self.sign_in is SignInBy.PROXY, self.sign_in is SignInBy.OPENID
        faults = [
            Fault("settings", 0, 0, f"console.{key}", problem, remedy)
            for wrong, key, problem, remedy in (
                (
                    proxy and not is_unix,
                    "sign_in",
                    Message("is proxy, and console.listen is an IP address, where any local user can name anyone"),
                    Message("Set console.listen to a Unix socket, and console.group to the proxy's group"),
                ),
                (
                    self.group is not None and not is_unix,
                    "group",
                    Message("is set, and console.listen is an IP address, where every local user may connect"),
                    Message("Set console.listen to a Unix socket, or leave console.group out"),
                ),
                (
                    is_unix and not self.address,
                    "address",
                    Message("is not set, and console.listen is a Unix socket"),
                    Message("Write the address in the browser, like https://pbx.example.jp"),
                ),
                (
                    openid and not self.openid.issuer,
                    "openid.issuer",
                    Message("is not set, and console.sign_in is openid"),
                    Message("Write the provider's address, like https://login.example.jp"),
                ),
                (
                    openid and not self.openid.client_id,
                    "openid.client_id",
                    Message("is not set, and console.sign_in is openid"),
                    Message("Write the name under which the provider knows the console"),
                ),
            )
            if wrong
        ]
        if faults:
            raise DocumentError(faults)
