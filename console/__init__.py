"""The console: pages in a browser for an operator and for the association's office."""
