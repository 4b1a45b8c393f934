"""Reads all kinds of recordings. The kind is detected from a file's content."""

from pathlib import Path

from .audio_files import read_audio_file
from .captures import read_capture
from .datagrams import is_capture
from .open_recording import LONGEST_S, Notice, beginning_of, open_recording, warn
from .recorded_leg import RecordedLeg


def read_recording(path: Path, *, longest_s: float = LONGEST_S, notice: Notice = warn) -> tuple[RecordedLeg, ...]:
    """Read the legs of a capture (`read_capture`) or an audio file (`read_audio_file`), depending on the content.

    `notice` receives a sentence about each part that is omitted or damaged. Raises RecordingError if the file cannot be
    read.
    """
    with open_recording(path) as file:
        reader = read_capture if is_capture(beginning_of(file)) else read_audio_file
    return reader(path, longest_s=longest_s, notice=notice)
