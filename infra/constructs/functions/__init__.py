"""Lambda functions over `services`, and the schedules that call them."""
