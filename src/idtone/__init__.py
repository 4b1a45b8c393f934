"""idtone: the identification sound on forwarded calls, licensed, heard and recorded."""

__version__ = "0.1.0"
