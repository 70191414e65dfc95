"""LLM microservice: SageMaker's container contract over an inference engine."""
