"""Benchmarks of the service, as ratios against named baselines that run beside it."""
