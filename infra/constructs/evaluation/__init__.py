"""Evaluation of sampled answers: queue, functions, state machine, alarms and chat messages."""
