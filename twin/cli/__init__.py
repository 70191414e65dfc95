"""The commands, their options and help: one module per job; what they do is in `twin.commands` and `twin.ci`.

A module here imports what a command needs when the command runs: the list of commands must not wait for it.
"""
