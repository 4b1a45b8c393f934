"""Charts drawn with matplotlib, which is optional and imported only when needed. No display is required."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .errors import UsageError
from .files import draft, writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES: Final = ("#51127c", "#0089a8", "#c0392b", "#e08e0b", "#2e7d32", "#d81b60", "#5d4037", "#3949ab")
"""Colours of lines, easy to tell apart."""
BESIDE: Final[dict[str, Any]] = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
"""Arguments that place a legend to the right of its axes."""
_DPI: Final = 110


def new_figure(width: float, height: float) -> Figure:
    """Create an empty figure of the given size in inches. Raises UsageError if matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("a picture needs matplotlib. Install it with: pip install 'idtone[plot]'") from error
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def write_picture(path: Path, figure: Figure, kind: str = "png") -> None:
    """Write a figure as `png` or `svg`, replacing an existing file atomically. Raises UsageError."""
    with writing(path, UsageError, is_choice=True), draft(path) as new:
        figure.savefig(new.file, format=kind)
        new.put()
