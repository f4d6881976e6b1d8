# The clock: what starts without a marker.

locals {
  _jobs_address = "https://run.googleapis.com/v2/projects/${var.project_id}/locations/${var.location}/jobs"

  _schedules = local.has_jobs ? {
    # Catches what no marker announced; pushing a folder twice sends nothing.
    process-date = {
      cron = var.cloud_jobs.daily_schedule
      uri  = "https://workflowexecutions.googleapis.com/v1/${google_workflows_workflow.process_date[0].id}/executions"
      body = base64encode(jsonencode({ argument = "{}" }))
    }
    drift = {
      cron = var.cloud_jobs.drift_schedule
      uri  = "${local._jobs_address}/${google_cloud_run_v2_job.jobs["drift"].name}:run"
      body = null
    }
    health = {
      cron = "0 * * * *"
      uri  = "${local._jobs_address}/${google_cloud_run_v2_job.jobs["health"].name}:run"
      body = null
    }
  } : {}
}

resource "google_cloud_scheduler_job" "schedules" {
  for_each = local._schedules

  project   = var.project_id
  region    = var.location
  name      = "coach-${each.key}-${var.environment}"
  schedule  = each.value.cron
  time_zone = var.cloud_jobs.schedule_time_zone

  http_target {
    http_method = "POST"
    uri         = each.value.uri
    body        = each.value.body

    oauth_token {
      service_account_email = google_service_account.scheduler[0].email
    }
  }

  depends_on = [google_project_iam_member.scheduler, google_service_account_iam_member.deployer_acts_as]
}
