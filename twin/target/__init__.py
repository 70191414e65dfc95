"""What a command acts on: a stage, its outputs, and clients of its AWS, API and Opik."""
