"""Coordinates, ticks and text for the SVG drawings in the templates."""
