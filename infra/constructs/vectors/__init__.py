"""The self-hosted vector store: its machine, volume, certificates, backups and alarms."""
