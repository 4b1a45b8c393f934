"""`__main__.py` of the zipapp `idtone-sign.pyz`, which uses only the standard library.

Python cannot import compiled libraries from an archive. The first start therefore unpacks them into a folder named
after the archive's SHA-256.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import zipfile
from importlib import import_module
from pathlib import Path

LIBRARIES = "libraries"
BUILT_FOR = "built-for.json"
START = "idtone.office.signing.sign_command"


def cache_folder() -> Path:
    """The program's cache folder in the user's home folder."""
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "idtone-sign")


def unpack_libraries(archive: Path, within: Path) -> Path:
    """Unpack the libraries of the archive, unless an earlier start has done so and return their folder.

    Raises SystemExit if the archive was built for another version of Python.
    """
    with zipfile.ZipFile(archive) as opened:
        wanted = json.loads(opened.read(BUILT_FOR))["python"]
        if list(sys.version_info[:2]) != wanted:
            found = ".".join(map(str, sys.version_info[:2]))
            raise SystemExit("idtone-sign: this file is for Python {}.{}, not {}".format(*wanted, found))
        folder = within / hashlib.sha256(archive.read_bytes()).hexdigest()
        if not folder.is_dir():
            within.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(dir=within))  # a folder that this user alone can enter
            try:
                opened.extractall(draft)  # our own
                os.rename(draft, folder)
            except OSError:
                shutil.rmtree(draft, ignore_errors=True)
                if not folder.is_dir():  # another start was quicker
                    raise
    return folder / LIBRARIES


if __name__ == "__main__":
    sys.path.insert(0, str(unpack_libraries(Path(sys.argv[0]), cache_folder())))
    import_module(START).main()
