"""What the service is measured against, labelled as such."""
