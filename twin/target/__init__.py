"""The target of a command: a stage, its outputs, and clients of its AWS, API and Opik."""
