"""Alerts topic, base of all alarms, and the stage's dashboard."""
