# Sidecar, dbt and drift check as jobs of one image. Arguments are those of
# the real command line: a test parses every one of them with it.

locals {
  # Memory of the sidecar stays flat whatever the size of a batch. Tasks share
  # a batch by a hash of the conversation's id, so more tasks need no plan.
  _jobs = local.has_jobs ? {
    # The workflow gives it `push gs://…/<date>` and its number of tasks; run
    # by hand without arguments it checks its own access and changes nothing.
    sidecar = {
      account   = google_service_account.sidecar.email
      command   = ["ingest"]
      arguments = ["doctor"]
      retries   = 1
      timeout   = "86400s"
      memory    = "1Gi"
    }
    dbt = {
      account   = google_service_account.dbt.email
      command   = ["ingest"]
      arguments = ["build", "--wait", "--target", "bigquery"]
      retries   = 1
      timeout   = "14400s"
      memory    = "2Gi"
    }
    # Ends with an error when somebody changed a matcher by hand.
    drift = {
      account   = google_service_account.sidecar.email
      command   = ["ingest"]
      arguments = ["matchers", "plan", "--exit-code"]
      retries   = 0
      timeout   = "600s"
      memory    = "512Mi"
    }
    # Logs one line of numbers, which the alerts read.
    health = {
      account   = google_service_account.sidecar.email
      command   = ["ingest"]
      arguments = ["health", "--json"]
      retries   = 0
      timeout   = "600s"
      memory    = "512Mi"
    }
  } : {}
}

resource "google_cloud_run_v2_job" "jobs" {
  for_each = local._jobs

  project             = var.project_id
  location            = var.location
  name                = "coach-${each.key}-${var.environment}"
  labels              = local.labels
  deletion_protection = var.deletion_protection

  template {
    task_count = 1

    template {
      service_account = each.value.account
      max_retries     = each.value.retries
      timeout         = each.value.timeout
      encryption_key  = local.key_id

      containers {
        image   = var.cloud_jobs.image
        command = each.value.command
        args    = each.value.arguments

        resources {
          limits = {
            cpu    = "1"
            memory = each.value.memory
          }
        }

        dynamic "env" {
          for_each = merge(local.sidecar_environment, { INGEST_LOG_FORMAT = "json" })

          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }

  depends_on = [
    google_kms_crypto_key_iam_member.agents,
    google_project_service.enabled,
    google_service_account_iam_member.deployer_acts_as,
  ]
}

# Only the workflow gives arguments, and only to the sidecar.
resource "google_cloud_run_v2_job_iam_member" "started_by_scheduler" {
  for_each = google_cloud_run_v2_job.jobs

  project  = var.project_id
  location = var.location
  name     = each.value.name
  role     = each.key == "sidecar" ? "roles/run.jobsExecutorWithOverrides" : "roles/run.jobsExecutor"
  member   = google_service_account.scheduler[0].member
}
