mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "google-beta" {}


variables {
  environment    = "dev"
  location       = "europe-west1"
  project_id     = "acme-coach"
  project_number = "123456789012"

  cloud_jobs = {
    image         = "europe-west1-docker.pkg.dev/acme-coach/conversation-coach-dev/ingest@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    sidecar_tasks = 8
  }
}

run "with_a_key_everything_uses_it" {
  command = plan

  variables {
    customer_managed_key = true
  }

  assert {
    condition     = google_storage_bucket.conversations.encryption[0].default_kms_key_name == google_kms_crypto_key.conversations[0].id
    error_message = "The bucket."
  }
  assert {
    condition = alltrue([
      for dataset in concat([google_bigquery_dataset.raw], values(google_bigquery_dataset.dbt)) :
      dataset.default_encryption_configuration[0].kms_key_name == google_kms_crypto_key.conversations[0].id
    ])
    error_message = "Every dataset."
  }
  assert {
    condition = alltrue([
      for table in values(google_bigquery_table.raw) :
      table.encryption_configuration[0].kms_key_name == google_kms_crypto_key.conversations[0].id
    ])
    error_message = "Every table made here."
  }
  assert {
    condition     = google_contact_center_insights_encryption_spec.conversations[0].kms_key == google_kms_crypto_key.conversations[0].id
    error_message = "Insights."
  }
  assert {
    condition     = toset(keys(google_kms_crypto_key_iam_member.agents)) == toset(["storage", "bigquery", "insights", "pubsub", "workflows", "artifactregistry", "run"])
    error_message = "Seven agents of Google's use the key, nobody else."
  }
  assert {
    condition     = google_kms_crypto_key_iam_member.agents["insights"].member == "serviceAccount:service-123456789012@gcp-sa-ccai-cmek.iam.gserviceaccount.com"
    error_message = "Insights encrypts as an agent of its own."
  }
  assert {
    condition     = google_kms_crypto_key.conversations[0].rotation_period == "7776000s"
    error_message = "The key turns every 90 days."
  }
}

run "with_a_key_what_runs_is_under_it_too" {
  command = plan

  variables {
    customer_managed_key   = true
    insights_notifications = ["create-analysis"]
  }

  assert {
    condition = toset(concat(
      [for job in google_cloud_run_v2_job.jobs : job.template[0].template[0].encryption_key],
      [google_pubsub_topic.ready[0].kms_key_name, google_pubsub_topic.insights_events[0].kms_key_name],
      [google_workflows_workflow.process_date[0].crypto_key_name],
      [google_artifact_registry_repository.images[0].kms_key_name],
    )) == toset([google_kms_crypto_key.conversations[0].id])
    error_message = "Jobs, topics, workflow and registry."
  }
}

run "without_a_key_nothing_mentions_one" {
  command = plan

  assert {
    condition = (
      length(google_kms_crypto_key.conversations) == 0
      && length(google_contact_center_insights_encryption_spec.conversations) == 0
      && length(google_storage_bucket.conversations.encryption) == 0
      && length(google_bigquery_dataset.raw.default_encryption_configuration) == 0
      && !contains(keys(google_project_service.enabled), "cloudkms.googleapis.com")
    )
    error_message = "Google's own keys are the default."
  }
}
