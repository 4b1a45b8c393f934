"""Witnesses (C2SP tlog-witness) cosign a tree's heads, and only such as continue what they cosigned before."""
