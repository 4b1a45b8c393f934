"""Whether the hook that calls meet is the one that this version exports with these settings. Pure."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from shlex import quote

from idtone.dialplan import HOOK_FILE, Hook

from .findings import Finding, bad, good, unknown, warning


def _export(folder: Path, config: Path | None) -> str:
    option = f" -c {quote(str(config))}" if config else ""
    return f"idtone dialplan export{option} {quote(str(folder))} && asterisk -rx 'dialplan reload'"


def loaded(ours: Hook, digest: str, sounds: str, wanted_sounds: Path, folder: Path, config: Path | None) -> Finding:
    """`digest` and `sounds` are what the loaded hook says of itself; both empty where there is none."""
    topic = "hook-loaded"
    remedy = _export(folder, config)
    if digest == ours.digest:
        return good(topic, f"this version's, with these settings ({digest})")
    if not sounds:
        return bad(topic, "Asterisk has loaded no hook", f"{remedy}; in extensions.conf: `#include {HOOK_FILE}`")
    if sounds != str(wanted_sounds):
        return bad(topic, f"it looks for the sounds in {sounds}, and the settings say {wanted_sounds}", remedy)
    return bad(topic, f"another version's, or other settings' ({digest or 'older'}; here: {ours.digest})", remedy)


def file(ours: Hook, text: str | None, trouble: str, path: Path, config: Path | None) -> Finding:
    """`text` is the file's, None where it could not be read: `trouble` says why; empty means there is none."""
    topic = "hook-file"
    if text == ours.text:
        return good(topic, f"{path} is unmodified")
    if trouble:
        look = f"Run this as a user who may read {path}; or name Asterisk's folder: --asterisk-etc DIR"
        return unknown(topic, f"{path}: {trouble}", look)
    remedy = _export(path.parent, config)
    if text is None:
        return warning(
            topic, f"there is no {path}; Asterisk has it from elsewhere, or loses it at its next start", remedy
        )
    if f"={ours.digest}\n" in text:
        return bad(topic, f"{path} was changed after its export", remedy)
    return bad(topic, f"{path} is of another version or of other settings", remedy)


def include(including: Collection[Path] | None, folder: Path, is_loaded: bool) -> Finding:
    """`including` are the files in `folder` that include the hook's; None where that could not be looked at."""
    topic = "hook-include"
    remedy = f"In {folder / 'extensions.conf'}: `#include {HOOK_FILE}`; then asterisk -rx 'dialplan reload'"
    if including is None:
        look = f"Run this as a user who may read {folder}; or name Asterisk's folder: --asterisk-etc DIR"
        return unknown(topic, f"{folder} cannot be read here", look)
    if including:
        return good(topic, ", ".join(sorted(map(str, including))))
    if is_loaded:
        return warning(topic, f"no file in {folder} includes {HOOK_FILE}, though it was loaded", remedy)
    return bad(topic, f"no file in {folder} includes {HOOK_FILE}", remedy)
