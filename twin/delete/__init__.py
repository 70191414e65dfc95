"""Takes a stage away: what is its own, in which order it goes, and what AWS leaves behind."""
