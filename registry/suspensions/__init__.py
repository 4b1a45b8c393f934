"""Suspensions that this node's operator orders itself, when the police call it directly (`idtone suspend`)."""
