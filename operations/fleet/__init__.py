"""A fleet of PBXs: the reports of its nodes, its monitoring, configuration and upgrade."""
