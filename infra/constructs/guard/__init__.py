"""Cost limits: monthly budget and kill switch."""
