"""What the delivery workflows do, apart from GitHub: every step runs on a laptop as well."""
