"""Steps of the delivery workflows that no tool does; each runs on a laptop as it runs in a job."""
