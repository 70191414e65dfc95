"""`twin demo`, `local-start`, `local-stop`, `drill`: the local cloud."""
