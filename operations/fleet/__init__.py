"""Commands for a fleet of PBXs: node reports, monitoring, configuration and upgrades."""
