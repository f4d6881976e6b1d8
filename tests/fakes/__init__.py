"""Stateful stand-ins of the ports; every behaviour here is proved on the emulators in
`tests/contract/ports`."""
