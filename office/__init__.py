"""Programs for the association's office: the registry, the desk, evaluations of members and refused customers."""
