"""What AWS refuses, as a catalogue of rules with their sources, and where the emulator applies them."""
