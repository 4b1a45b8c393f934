"""Settings under `console`: the listen address, the users and the sign-in method."""

from enum import StrEnum
from pathlib import Path

from ..errors import DocumentError, Fault
from ..translation import Message
from ..yaml_documents import Model
from .values import BrowserAddress, ConsoleAddress, IssuerUrl, PrometheusUrl, split_port


class SignInBy(StrEnum):
    """Sign-in method of the console."""

    PASSWORD = "password"  # noqa: S105 — the name of a way
    PROXY = "proxy"
    OPENID = "openid"


class OpenIdSettings(Model):
    """Settings for signing in to the console with OpenID Connect."""

    issuer: IssuerUrl | None = None
    client_id: str | None = None
    client_secret_file: Path | None = None
    """The file with the client's secret; None for a public client."""
    claim: str = "sub"
    """The ID token claim that holds the user's name as in the user file."""
    acr: str | None = None
    """The authentication context class that the provider must confirm; None accepts any."""


class ConsoleSettings(Model):
    """Settings for the web console."""

    listen: ConsoleAddress = "127.0.0.1:8720"
    group: str | None = None
    """The group whose members may connect to a Unix socket; None allows only the console's own user."""
    address: BrowserAddress | None = None
    """The address that browsers use, if there is a proxy in front of the console."""
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
        """Path of the Unix socket, or IP address and port."""
        if self.listen.startswith("unix:"):
            return Path(self.listen.removeprefix("unix:"))
        return split_port(self.listen)

    def check(self) -> None:
        """Check that the settings are consistent with each other. Raises DocumentError."""
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
