"""Resources of a stage: which are its own, and which still exist after a delete."""
