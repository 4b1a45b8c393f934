"""Witnesses (C2SP tlog-witness), which cosign only heads that continue the tree cosigned before."""
