"""The DynamoDB state table and Secrets Manager."""
