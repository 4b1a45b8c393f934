"""Several PBXs as one: the nodes' reports, and the watching, configuration and upgrade of a fleet."""
