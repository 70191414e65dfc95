"""`twin demo`, `local-start`, `local-stop`, `drill`: the local cloud, and what is practised on it."""
