"""Rewrites docs/evidence-vectors: `python -m lab.ledger.vectors`."""

from . import FOLDER, lines

for name, text in lines().items():
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / name).write_text(text, "utf-8")
