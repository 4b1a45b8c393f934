"""`idtone-sign`: holders read and sign a package on their own computers, without a shell and without a network."""
