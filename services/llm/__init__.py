"""LLM microservice: SageMaker's container contract over an engine."""
