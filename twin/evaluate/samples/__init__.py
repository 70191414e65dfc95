"""`twin samples`: what the monitoring evaluation judges."""
