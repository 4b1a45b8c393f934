"""`idtone-sign`: holders see and sign a package on their own computers, without a shell and without a network."""
