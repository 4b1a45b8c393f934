"""Prepares the files of `@idtone/detector`, the verifier for browsers, apps and webphones."""
