"""A member's compliance work: customers' forms, reports, signs of misuse, and figures for the evaluation."""
