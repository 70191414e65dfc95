"""Alarms, and the dashboard of a stage."""
