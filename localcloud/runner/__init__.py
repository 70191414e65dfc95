"""Runner of declared resources: reads them from the emulator and keeps processes in step with them."""
