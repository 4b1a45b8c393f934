"""Suspensions that this node's operator orders, when the police call the operator directly (`idtone suspend`)."""
