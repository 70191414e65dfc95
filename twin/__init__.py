"""The command line behind the Makefile."""
