"""The model behind its endpoint: container, role, scaling, roll-out, and the names of its metrics."""
