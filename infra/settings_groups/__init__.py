"""Groups of the deployment settings: one class per table of `infra/config/<stage>.toml`."""
