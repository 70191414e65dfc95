"""The preflight: small checks, one module per family, that run at the same time and end within their time limits."""
