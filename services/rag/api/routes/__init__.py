"""The routes, one module per interface."""
