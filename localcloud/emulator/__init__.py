"""MiniStack with what our stacks need on top: missing resource types, SageMaker, Application Auto Scaling, corrections.

MiniStack's hooks are private, so its version is pinned exactly and the contract tests speak through boto3.
"""
