"""The public API: tasks, load balancer, what stands in front of it, and scaling."""
