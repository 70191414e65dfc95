"""The public API: Fargate tasks, load balancer, CloudFront, web ACL, scaling and alarms."""
