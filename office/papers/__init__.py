"""The office's printed papers: activity accounts, certificates, letters and suspension papers."""
