"""One use case a file; flows talk to the outside through `ingest.ports` only."""
