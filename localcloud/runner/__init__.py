"""Starts what the templates declare: reads the emulator back and keeps processes in step with it."""
