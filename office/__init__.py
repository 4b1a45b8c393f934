"""The association's work: the registry, its desk, the evaluation of members, refused customers."""
