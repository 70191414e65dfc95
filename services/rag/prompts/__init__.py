"""The prompts, one file for each version, and which of them are in use."""
