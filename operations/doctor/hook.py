"""Whether the loaded hook is the one that this version exports with these settings. Pure."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from shlex import quote

from idtone.dialplan import CALLED_CONTEXT, FORWARD_CONTEXT, HOOK_FILE, Hook

from .findings import Finding, bad, good, unknown, warning
from .modules import DIALPLAN_VIEW
from .modules import remedy as modules_remedy


def _export(folder: Path, config: Path | None) -> str:
    option = f" -c {quote(str(config))}" if config else ""
    return f"idtone dialplan export{option} {quote(str(folder))} && asterisk -rx 'dialplan reload'"


def loaded(
    ours: Hook,
    digest: str,
    sounds: str,
    contexts: Collection[str] | None,
    running: Collection[str],
    wanted_sounds: Path,
    folder: Path,
    config: Path | None,
) -> Finding:
    """`digest` and `sounds` are variables of the loaded hook, both empty if none is loaded. They survive a reload that
    removes the hook, so `contexts` says which of its contexts the dialplan has; None if Asterisk cannot say it.
    `running` are Asterisk's running modules.
    """
    topic = "hook-loaded"
    remedy = _export(folder, config)
    include = f"In {folder / 'extensions.conf'}: `#include {HOOK_FILE}`; then {remedy}"
    if not sounds or contexts == frozenset():
        left = "; it only has the variables of an earlier one" if sounds else ""
        return bad(topic, f"Asterisk has not loaded the hook{left}", include)
    if contexts is not None and (missing := sorted({CALLED_CONTEXT, FORWARD_CONTEXT} - set(contexts))):
        return bad(topic, f"the dialplan has no {', '.join(missing)}", include)
    if sounds != str(wanted_sounds):
        return bad(topic, f"it plays the sounds in {sounds}, but the settings say {wanted_sounds}", remedy)
    if digest != ours.digest:
        found = f"it is of another version or has other settings ({digest or 'older'}; here: {ours.digest})"
        return bad(topic, found, remedy)
    if contexts is None:
        return unknown(
            topic,
            f"its variables are of this version ({digest}); Asterisk cannot say whether its extensions exist",
            modules_remedy(DIALPLAN_VIEW, running),
        )
    return good(topic, f"it is of this version, with these settings ({digest})")


def file(ours: Hook, text: str | None, trouble: str, path: Path, config: Path | None) -> Finding:
    """`text` is that of the file, None if it could not be read; `trouble` says why, empty if it does not exist."""
    topic = "hook-file"
    if text == ours.text:
        return good(topic, f"{path} is unmodified")
    if trouble:
        look = f"Run this as a user who may read {path}; or name Asterisk's folder: --asterisk-etc DIR"
        return unknown(topic, f"{path}: {trouble}", look)
    remedy = _export(path.parent, config)
    if text is None:
        return warning(
            topic, f"{path} does not exist: Asterisk reads another file, or loses the hook at its next start", remedy
        )
    if f"={ours.digest}\n" in text:
        return bad(topic, f"{path} was changed after its export", remedy)
    return bad(topic, f"{path} is of another version or has other settings", remedy)


def include(including: Collection[Path] | None, folder: Path, is_loaded: bool) -> Finding:
    """`including` are the files in `folder` that include the hook; None if they could not be read."""
    topic = "hook-include"
    remedy = f"In {folder / 'extensions.conf'}: `#include {HOOK_FILE}`; then asterisk -rx 'dialplan reload'"
    if including is None:
        look = f"Run this as a user who may read {folder}; or name Asterisk's folder: --asterisk-etc DIR"
        return unknown(topic, f"{folder} cannot be read here", look)
    if including:
        return good(topic, ", ".join(sorted(map(str, including))))
    if is_loaded:
        return warning(topic, f"no file in {folder} includes {HOOK_FILE}, although Asterisk has loaded it", remedy)
    return bad(topic, f"no file in {folder} includes {HOOK_FILE}", remedy)
