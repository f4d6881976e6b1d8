"""The local stack: emulators of Cloud Storage, BigQuery and Conversational Insights."""
