"""`twin prompts`: versions of the prompts."""
