"""Rules: functions from reports to who gets what and who is paid what."""
