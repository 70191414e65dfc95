"""Lambda functions of ours and the clocks that call them."""
