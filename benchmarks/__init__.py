"""What the service costs, as ratios against named baselines that run beside it."""
