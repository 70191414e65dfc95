"""`twin init`, `secrets`: what a stage is told before and after its first deployment."""
