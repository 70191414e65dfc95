"""What the workflows may do in the account, and who may be a workflow."""
