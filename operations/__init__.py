"""Commands for operators that need more than one part of idtone: checks, setup, exports and imports."""
