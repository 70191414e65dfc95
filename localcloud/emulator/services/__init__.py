"""Control planes of services that MiniStack lacks, and operations that one of its services lacks."""
