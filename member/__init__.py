"""A member's compliance work: customers' forms, reports, misuse detection, and figures for the evaluation."""
