"""What the service hands to the evaluation pipeline."""
