"""The model's files: from the hub, checked, into a bucket from which the endpoint loads them."""
