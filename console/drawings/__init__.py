"""Coordinates, ticks and texts of the SVG drawings in the templates."""
