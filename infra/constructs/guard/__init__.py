"""What ends spending: budget and kill switch."""
