"""A monitor, which follows the published trees of many logs, asks their witnesses, and raises alarms."""
