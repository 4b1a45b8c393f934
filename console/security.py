"""Security headers for every response, and the check that a form comes from one of our own pages."""

from collections.abc import Mapping
from typing import Final

SCRIPTED: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PLAIN: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content security policy for the public pages, which run no scripts."""
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Server": "idtone",  # without version numbers
    "Referrer-Policy": "same-origin",  # no-referrer would make browsers omit the origin
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def is_from_here(headers: Mapping[str, str], origins: frozenset[str]) -> bool:
    """True if a browser sent this form from one of our pages. Relies on the origin, which all current browsers send."""
    if headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    return headers.get("Origin", "").lower() in origins
