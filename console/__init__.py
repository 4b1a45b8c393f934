"""The console: web pages for operators and the association's office."""
