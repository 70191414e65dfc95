"""CloudFormation resource types that MiniStack lacks; each calls the emulator's own API."""
