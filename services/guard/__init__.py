"""Cost limits: Lambdas that stop spending and delete expired stages."""
