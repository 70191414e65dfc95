"""MiniStack, extended by missing resource types, SageMaker, Application Auto Scaling, and patches of differences to
AWS.

MiniStack's hooks are private, so its version is pinned exactly and the contract tests speak through boto3.
"""
