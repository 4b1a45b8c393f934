"""The registry's files by role, each with its parser and the comparison of two editions. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from idtone.core.errors import DocumentError
from idtone.core.yaml_documents import Model, ValidationFault, parse, validate

from .differences import never_originates_differences, registry_differences, suspension_differences
from .model import NeverOriginatesDocument, RegistryDocument, SuspensionsDocument
from .trust import tuf_roles
from .validation_rules import never_originates_faults, signed_faults, suspension_faults


@dataclass(frozen=True, slots=True)
class Kind:
    """The functions for one kind of file. `differences` takes the old and the new document, and optionally a `Say`.
    `head` returns the part of a document that has the fields named in `stamp`. These fields differ in each edition.
    `lists` names the document's lists.
    """

    model: type[Model]
    rules: Callable[[Any], Iterable[ValidationFault]]
    differences: Callable[..., Iterable[str]]
    head: Callable[[Any], Any]
    stamp: tuple[str, ...]
    lists: tuple[str, ...]

    def parse(self, text: str, name: str) -> Any:
        """The document in a text. `name` is the file name in the faults. The last documents are cached: a publication
        reads the same two files in several places, and they may be large. Raises DocumentError with every fault.
        """
        try:
            return _parsed(self, text)
        except DocumentError as error:
            raise DocumentError(replace(fault, file=name) for fault in error.faults) from error

    def emptied(self, document: Any) -> Any:
        """The document with empty lists. The first edition is compared with it, because there is no earlier one."""
        return document.model_copy(update=dict.fromkeys(self.lists, ()))

    def checked(self, tree: Any, text: str, name: str) -> Any:
        """The document from the tree that `yaml_documents.read_tree` has read from the text, checked as by `parse`."""
        return validate(tree, text, name, self.model, self.rules)

    def unchecked(self, tree: Any, text: str, name: str) -> Any:
        """The same as `checked`, but without the rules between values. The text must have passed them before."""
        return validate(tree, text, name, self.model)


@lru_cache(maxsize=4)
def _parsed(kind: Kind, text: str) -> Any:
    return parse(text, "", kind.model, kind.rules)


KINDS: Final = {
    tuf_roles.REGISTRY: Kind(
        RegistryDocument,
        signed_faults,
        registry_differences,
        lambda document: document.registry,
        ("version", "issued"),
        ("tones", "members", "chains", "portings", "evaluations"),
    ),
    tuf_roles.SUSPENSIONS: Kind(
        SuspensionsDocument,
        suspension_faults,
        suspension_differences,
        lambda document: document,
        ("issued",),
        ("suspensions",),
    ),
    tuf_roles.NEVER_ORIGINATES: Kind(
        NeverOriginatesDocument,
        never_originates_faults,
        never_originates_differences,
        lambda document: document,
        ("issued",),
        ("never_originates",),
    ),
}
