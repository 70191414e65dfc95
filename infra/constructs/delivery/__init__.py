"""Permissions of the GitHub workflows in the account, and the trust in their tokens."""
