"""Python sidecar: moves conversations to Google Cloud and records what happened."""
