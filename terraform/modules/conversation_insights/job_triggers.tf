# What starts the jobs for a date folder: a marker that says it is complete.

resource "google_workflows_workflow" "process_date" {
  count = local.has_jobs ? 1 : 0

  project             = var.project_id
  region              = var.location
  name                = "coach-process-date-${var.environment}"
  description         = "Pushes one date folder, then builds the marts."
  service_account     = google_service_account.scheduler[0].id
  source_contents     = file("${path.module}/process_date.workflow.yaml")
  call_log_level      = "LOG_ERRORS_ONLY"
  crypto_key_name     = local.key_id
  deletion_protection = var.deletion_protection
  labels              = local.labels

  user_env_vars = {
    BUCKET        = google_storage_bucket.conversations.name
    DBT_JOB       = google_cloud_run_v2_job.jobs["dbt"].name
    READY_PREFIX  = local.ready_prefix
    SIDECAR_JOB   = google_cloud_run_v2_job.jobs["sidecar"].name
    SOURCE_PREFIX = local.redacts ? local.originals_prefix : ""
    SIDECAR_TASKS = tostring(var.cloud_jobs.sidecar_tasks)
    TIME_ZONE     = var.cloud_jobs.schedule_time_zone
  }

  depends_on = [
    google_kms_crypto_key_iam_member.agents,
    google_project_service.enabled,
    google_service_account_iam_member.deployer_acts_as,
  ]
}

# Workflows, polling and Eventarc know no narrower place for a grant than the project.
resource "google_project_iam_member" "scheduler" {
  for_each = toset(local.has_jobs ? [
    "roles/eventarc.eventReceiver",
    "roles/logging.logWriter",
    "roles/run.viewer",
    "roles/workflows.invoker",
  ] : [])

  project = var.project_id
  role    = each.value
  member  = google_service_account.scheduler[0].member
}

# One message a day folder: Cloud Storage tells of markers only, not of files.
resource "google_pubsub_topic" "ready" {
  #checkov:skip=CKV_GCP_83:by variable: messages hold names of date folders, no conversation data
  count = local.has_jobs ? 1 : 0

  project      = var.project_id
  name         = "coach-ready-${var.environment}"
  labels       = local.labels
  kms_key_name = local.key_id

  message_storage_policy {
    allowed_persistence_regions = [var.location]
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.enabled]
}

resource "google_pubsub_topic_iam_member" "storage_publishes" {
  count = local.has_jobs ? 1 : 0

  project = var.project_id
  topic   = google_pubsub_topic.ready[0].name
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.storage[0].member
}

resource "google_storage_notification" "ready" {
  count = local.has_jobs ? 1 : 0

  bucket             = google_storage_bucket.conversations.name
  topic              = google_pubsub_topic.ready[0].id
  payload_format     = "NONE"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = local.ready_prefix

  depends_on = [google_pubsub_topic_iam_member.storage_publishes]
}

resource "google_eventarc_trigger" "ready" {
  count = local.has_jobs ? 1 : 0

  project         = var.project_id
  location        = var.location
  name            = "coach-ready-${var.environment}"
  service_account = google_service_account.scheduler[0].email
  labels          = local.labels

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.pubsub.topic.v1.messagePublished"
  }

  destination {
    workflow = google_workflows_workflow.process_date[0].id
  }

  transport {
    pubsub {
      topic = google_pubsub_topic.ready[0].id
    }
  }

  depends_on = [google_project_iam_member.scheduler, terraform_data.agents_are_seen]
}
