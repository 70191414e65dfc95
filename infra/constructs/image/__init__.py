"""The service's image, built in the account."""
