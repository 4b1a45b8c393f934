"""The command `publication new-registry` of `idtone-office`, which writes an association's first files."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.terminal import command_line
from idtone.registry.file_kinds import KINDS
from idtone.registry.trust import tuf_roles

from ..authority import group_shared_files
from .options import AnyFolderOption

VALID_FOR: Final = timedelta(days=365)
_TEXTS: Final = {
    tuf_roles.REGISTRY: """\
# The registry: who may play which sound for which number.
# 登録簿: どの事業者が、どの番号で、どの音を鳴らせるか。
# `idtone-office application grant` enters members from their applications.
# 会員は、申込書から `idtone-office application grant` で登録します。
registry:
  association: {association}
  version: 1                            # one higher in each edition / 版ごとに 1 増やします
  issued: {issued}
  expires: {expires}

# The sounds. Put the master of each into tones/ID.wav.
# 音。原盤は tones/ID.wav に置きます。
tones:
  - {{id: sample, title: "Sample sound, to be replaced / 見本の音(差し替えてください)"}}

members: []
""",
    tuf_roles.SUSPENSIONS: """\
# What the police want stopped: numbers, ranges, members. `idtone-office suspension number`, `suspension range`,
# `suspension member` and `member refuse-numbers` enter it.
# 警察の要請で停止した番号、番号帯、会員。`idtone-office suspension number`、`suspension range`、`suspension member`、
# `member refuse-numbers` で登録します。
issued: {issued}
suspensions: []
""",
}


def new_registry(
    folder: AnyFolderOption,
    association: Annotated[str, typer.Option(metavar="NAME", help="The association's name in the registry.")] = "JUSA",
) -> None:
    """Write a registry.yaml and a suspensions.yaml to start with: no members, and no suspensions."""
    now = datetime.now(JAPAN).replace(microsecond=0)
    values = {
        "association": json.dumps(association, ensure_ascii=False),
        "issued": now.isoformat(),
        "expires": (now + VALID_FOR).isoformat(),
    }
    texts = {folder / tuf_roles.DELEGATED[role]: text.format(**values) for role, text in _TEXTS.items()}
    for role, (path, text) in zip(_TEXTS, texts.items(), strict=True):
        KINDS[role].parse(text, str(path))
        if path.exists():
            raise UsageError("{path}: exists already; name a new folder", path=path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            group_shared_files.write(path, text.encode())
            command_line.say("{path} is written", path=path)
    except OSError as error:
        raise UsageError(
            "{file}: cannot be written: {reason}; name another folder", file=error.filename, reason=error.strerror
        ) from error
