"""What the templates draw as SVG, computed here: points, ticks and words. Pure."""
