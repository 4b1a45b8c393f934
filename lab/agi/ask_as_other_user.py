"""A client of a Unix socket as another user. As root: `python -m lab.agi.ask_as_other_user SOCKET USER GROUP[,GROUP…]`.

Sends its standard input as this user and in these groups. The first group is the primary one. Writes the answers to
standard output until the other side ends the connection.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

STRANGER = 54321
"""Id of a user and of a group that do not exist."""


def ask_as(path: Path, user: int, groups: Sequence[int], data: bytes) -> bytes:
    """The socket's answer to this user.

    Changes the modes of the socket and of its folder so that every user can connect.
    """
    path.parent.chmod(0o711)
    path.chmod(0o666)
    command = [sys.executable, "-m", __name__, path, str(user), ",".join(map(str, groups))]
    ended = subprocess.run(
        command, input=data, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], timeout=60, check=True
    )
    return ended.stdout


def main() -> None:
    path, user, groups = Path(sys.argv[1]), int(sys.argv[2]), [int(group) for group in sys.argv[3].split(",")]
    data = sys.stdin.buffer.read()
    os.chdir(path.parent)  # other users cannot enter the parent folders
    os.setgroups(groups[1:])
    os.setresgid(groups[0], groups[0], groups[0])
    os.setresuid(user, user, user)
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path.name)
        try:
            asking.sendall(data)
            while received := asking.recv(4096):
                sys.stdout.buffer.write(received)
        except ConnectionError:
            pass  # the server closed the connection without reading what was sent


if __name__ == "__main__":
    main()
