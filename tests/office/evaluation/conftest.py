"""An association that is ready to evaluate its members."""

from lab.office.evaluation.ready_association import folder

__all__ = ["folder"]
