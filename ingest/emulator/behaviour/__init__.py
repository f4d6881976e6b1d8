"""How the emulator may be made to misbehave: faults, latencies, quotas; and what it counts."""
