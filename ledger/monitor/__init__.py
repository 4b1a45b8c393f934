"""A monitor for published logs, which compares their heads with what their witnesses saw and raises alarms."""
