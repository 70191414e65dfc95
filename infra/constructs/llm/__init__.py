"""SageMaker endpoint of the LLM: container, role, scaling, roll-out, metrics and alarms."""
