"""`twin`: the command line. One folder per job; `target` is what a job acts on, `terminal` how it talks."""
