"""A member's compliance work: customer forms, reports, misuse detection, and figures for evaluations."""
