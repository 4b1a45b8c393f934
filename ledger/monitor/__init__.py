"""A monitor of published logs, which compares their heads with their witnesses' and raises alarms."""
