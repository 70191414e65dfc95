"""The resources: one construct per thing that is deployed."""
