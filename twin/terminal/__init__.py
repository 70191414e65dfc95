"""Options, progress and tables: what every command shares."""
