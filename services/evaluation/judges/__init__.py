"""Models that judge answers, one small class per provider, and what their judging costs.

`services.evaluation.judges.session.open_judge` is the way in.
"""
