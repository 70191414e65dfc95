"""`twin delete`: deletes a stage's stacks in order and the resources that AWS leaves behind."""
