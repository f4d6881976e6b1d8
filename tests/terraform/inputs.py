"""Values for the variables of the roots, with every optional part off or on."""

from __future__ import annotations

IMAGE = (
    f"us-central1-docker.pkg.dev/acme-coach-dev/conversation-coach-dev/ingest@sha256:{'0a' * 32}"
)

PROJECT = ("project_id=acme-coach-dev", "project_number=123456789012")
EVERYTHING = (
    *PROJECT,
    'alert_emails=["oncall@acme.example"]',
    "analysts_group=analysts@acme.example",
    'budget={billing_account="012345-6789AB-CDEF01",monthly_amount=500}',
    f'cloud_jobs={{image="{IMAGE}"}}',
    "deployer=coach-deployer@acme-coach-dev.iam.gserviceaccount.com",
    "pii_readers_group=dpo@acme.example",
    "originals_readers_group=privacy@acme.example",
    "redaction=before_insights",
)
TUNED = (
    *PROJECT,
    'alert_emails=["night@acme.example"]',
    "analysts_group=analysts@acme.example",
    'budget={billing_account="012345-6789AB-CDEF01",monthly_amount=900}',
    f'cloud_jobs={{image="{IMAGE.replace("0a", "0b")}",sidecar_tasks=9,daily_schedule="0 7 * * *",'
    'schedule_time_zone="Asia/Tokyo"}',
    "deployer=coach-deployer@acme-coach-dev.iam.gserviceaccount.com",
    'operators=["group:oncall@acme.example"]',
    "pii_readers_group=dpo@acme.example",
)
"""The same parts with every value changed that may be while data is there."""
BOOTSTRAP = (
    "project_id=acme-coach-dev",
    "location=us-central1",
    "git_repository_id=42",
    "customer_managed_key=true",
)
