"""Where documents live."""
