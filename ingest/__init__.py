"""Python sidecar: moves conversations to Google Cloud and records what happened; dbt decides the rest."""
