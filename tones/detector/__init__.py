"""The verifier for browsers, apps and webphones: `@idtone/detector`, and what Python does for it."""
