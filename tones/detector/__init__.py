"""Python code that prepares the files of `@idtone/detector`, the verifier for browsers, apps and webphones."""
