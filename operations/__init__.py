"""What an operator runs beside the service: checks, set-up, exports and imports that need several rooms."""
