"""Programs for the association's office: the registry, the desk, member evaluations and refused customers."""
