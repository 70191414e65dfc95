"""What stands between callers and targets: a load balancer's connections, and what CloudFront keeps.

MiniStack 1.5.33 routes requests as a load balancer and a distribution do. It opens a connection per request, keeps no
error and hands a distribution's answers out whole, so that the faults of this way could not be met here.
"""
