"""Several PBXs as one: what a node reports, how a fleet is watched, configured and upgraded."""
