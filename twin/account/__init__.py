"""`twin account`: set-up that an AWS account needs once."""
