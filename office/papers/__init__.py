"""Papers of the office: accounts of a period, certificates, letters, the paper about a stop."""
