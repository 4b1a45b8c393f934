"""Files published for everyone: the signed list of operators and the files that belong to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from idtone.office.authority import operator_list
from idtone.office.authority.licence_mark import mark_files
from idtone.office.authority.workspace import Workspace
from idtone.office.evaluation.results import published_files
from idtone.registry.trust import tuf_roles


@dataclass(frozen=True, slots=True)
class PublishedFiles:
    """Files for the association's website: the list of operators, and all files by name."""

    listed: Mapping[str, Any]
    files: Mapping[str, bytes]
    stopped: Set[str] = frozenset()
    """Members whose numbers are all suspended.

    The pages and operators.json omit them immediately. The signed list omits them once it is next signed with the
    registry's keys.
    """

    @property
    def operators(self) -> list[Mapping[str, Any]]:
        return [each for each in self.listed["operators"] if each["member"] not in self.stopped]

    @classmethod
    def read(cls, office: Path) -> PublishedFiles:
        """Read the published files. Raises TrustError if nothing was published or a file has changed."""
        workspace = Workspace(office)
        octets = workspace.repository.operator_list()
        listed = json.loads(octets)
        stopped = workspace.stopped_members(datetime.now(UTC))
        files = {
            tuf_roles.OPERATORS_FILE: operator_list.without_stopped(octets, stopped),
            f"proof/{tuf_roles.OPERATORS_FILE}": octets,
        }
        files |= {f"proof/{name}": each for name, each in workspace.repository.operator_list_proof().items()}
        beside = published_files(workspace, listed["operators"]) | mark_files(listed)
        files |= {f"evaluation/{name}": each for name, each in beside.items()}
        return cls(listed, files, stopped)

    def of_badge(self, octets: bytes) -> Mapping[str, Any] | None:
        """The operator with this valid badge or mark, even if it is stopped.

        None if the badge or mark is forged, altered, expired or not yet valid.
        """
        sha256, now = hashlib.sha256(octets).hexdigest(), datetime.now(UTC)
        for operator in self.listed["operators"]:
            shown = operator.get("evaluation") or operator.get("mark")
            if shown and shown["badge"] == sha256:
                begins, until = (datetime.fromisoformat(shown[f"valid_{end}"]) for end in ("from", "until"))
                return operator if begins <= now < until else None
        return None
