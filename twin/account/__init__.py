"""`twin account`: what is done once per AWS account."""
