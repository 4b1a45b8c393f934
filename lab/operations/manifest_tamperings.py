"""Changes to the manifest of a pack by two persons that a holder of the signing key could make."""

from collections.abc import Callable
from typing import Any

TAMPERINGS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda manifest: manifest.update(acts=[]), "does not show that one person has requested it"),
    (lambda manifest: manifest.update(acts=manifest["acts"][:1]), "does not show that one person has requested it"),
    (lambda manifest: manifest.update(acts=manifest["acts"][1:]), "does not show that one person has requested it"),
    (lambda manifest: manifest["acts"].append(manifest["acts"][0]), "is there twice"),
    (lambda manifest: manifest["acts"][1].update(leaves=manifest["acts"][0]["leaves"]), "is said to be of"),
    (lambda manifest: manifest["acts"][1].update(leaves=[99]), "not a proof"),
    (lambda manifest: manifest["records"].pop(), "another selection than this"),
    (lambda manifest: manifest.update(case="R-8"), "another selection than this"),
    (lambda manifest: manifest["basis"].update(court="another court"), "another selection than this"),
    (lambda manifest: (manifest.pop("basis"), manifest.update(format="idtone-evidence/1")), "another selection"),
    (lambda manifest: manifest.update(exported="2036-01-01T00:00:00+00:00"), "had expired when the pack was made"),
    (lambda manifest: manifest.update(policy="three-persons"), "which this version does not know"),
    (lambda manifest: manifest.pop("acts"), "cannot be read (KeyError)"),
]
