"""Models that judge answers, one class per provider, with a record of their cost.

Entry point: `services.evaluation.judges.session.open_judge`.
"""
