"""One stack per module; a stack only composes constructs and wires them."""
