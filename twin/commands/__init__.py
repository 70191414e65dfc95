"""One module per command; each does the work and prints nothing a machine would have to parse."""
