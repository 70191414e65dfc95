"""What a stage still owns: the proof after a delete."""
