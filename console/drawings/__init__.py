"""Drawings (SVG) of the templates, computed here: points, ticks and words. Pure."""
