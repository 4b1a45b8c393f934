"""Commands for a fleet of PBXs: reports of its nodes, monitoring, configuration and upgrades."""
