"""The verifier for browsers, apps and webphones (`@idtone/detector`): the Python parts that prepare its files."""
