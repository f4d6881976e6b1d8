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
)
BOOTSTRAP = ("project_id=acme-coach-dev", "location=us-central1", "git_repository_id=42")
