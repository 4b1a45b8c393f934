"""What the office prints and hands out: accounts of a period, certificates, letters, the paper about a stop."""
