"""`twin drill faults`: each dependency of the local stage is killed, hung, slowed or left without disk, under load."""
