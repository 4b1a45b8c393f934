"""Computes the points, ticks and words of the SVG drawings in the templates. Pure."""
