# Alerts on executions that failed, by the metrics of Workflows and Cloud Run.

locals {
  # The sidecar's own job fails where one conversation did; its workflow passes
  # that on once everything else is built, so it is told of once.
  _failed_executions = var.alerts != null && local.has_jobs ? merge(
    {
      workflow = {
        title  = "workflow failed"
        filter = "resource.type=\"workflows.googleapis.com/Workflow\" AND resource.labels.workflow_id=\"${google_workflows_workflow.process_date[0].name}\" AND metric.type=\"workflows.googleapis.com/finished_execution_count\" AND metric.labels.status=\"FAILED\""
        help   = "The push of a day left conversations undone, or the build failed. The execution's error names the job whose logs tell why; running it again is safe."
      }
    },
    {
      for job, help in {
        dbt    = "A model or a test of `ingest build` failed; the job's log names it."
        drift  = "A phrase matcher was changed by hand: `ingest matchers plan` says which, `ingest matchers apply` makes it as the seeds say."
        health = "`ingest health` can't tell how the pipeline stands, so the alerts that read its line are silent; `ingest doctor` says what is wrong."
        } : job => {
        title  = "job ${job} failed"
        filter = "resource.type=\"cloud_run_job\" AND resource.labels.job_name=\"${google_cloud_run_v2_job.jobs[job].name}\" AND metric.type=\"run.googleapis.com/job/completed_execution_count\" AND metric.labels.result=\"failed\""
        help   = help
      }
    },
  ) : {}
}

resource "google_monitoring_alert_policy" "failed" {
  for_each = local._failed_executions

  project      = var.project_id
  display_name = "Conversation coach ${var.environment}: ${each.value.title}"
  combiner     = "OR"
  severity     = "ERROR"
  user_labels  = local.labels

  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = each.value.help
    mime_type = "text/markdown"
  }
}
