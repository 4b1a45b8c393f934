"""idtone: the identification sound on forwarded calls, licensed, played and recorded."""

__version__ = "0.1.0"
