"""A member's compliance work: customers, reports, signs of misuse, figures for the evaluation."""
