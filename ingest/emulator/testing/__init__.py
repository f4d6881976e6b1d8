"""The emulator inside a test's own process, with a Cloud Storage that is a dictionary."""
