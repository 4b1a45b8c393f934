"""An association that is ready to evaluate its members."""

from lab.office.evaluation.evaluating import folder

__all__ = ["folder"]
