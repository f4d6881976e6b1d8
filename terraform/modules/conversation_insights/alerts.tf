# What somebody is told of. Most alerts read the line that `ingest health` logs
# every hour; failed executions are Cloud Run's and Workflows' own metrics, and
# "nothing landed" is BigQuery's, so that they also speak when the health job,
# or all jobs, are what's broken.

locals {
  # Log filters compare numbers of a JSON line, so no metric has to be derived.
  _health_alerts = var.alerts != null && local.has_jobs ? merge({
    backlog_age = {
      condition = "jsonPayload.backlog_age_hours>${var.alerts.backlog_age_hours}"
      title     = "oldest waiting conversation"
      help      = "A conversation has waited longer than ${var.alerts.backlog_age_hours} h for its other file or for its analysis. `ingest status` names those that wait and what for."
    }
    failure_share = {
      condition = "jsonPayload.failure_percent>${var.alerts.failure_percent}"
      title     = "share of failed conversations"
      help      = "More than ${var.alerts.failure_percent} % of the last day's conversations failed. The mart pipeline_daily counts failures by code; pushing the folder again retries them."
    }
    days_not_landed = {
      condition = "jsonPayload.days_not_landed>0"
      title     = "day folder that nothing has processed"
      help      = "The bucket holds a date folder of the last 30 days, at least two days old, that no run has touched. `ingest ls gcs` shows the folders, `ingest status` those with rows; push the missing one."
    }
    insights_room = {
      condition = "jsonPayload.insights_percent>${var.alerts.insights_percent}"
      title     = "Insights fills up"
      help      = "More than ${var.alerts.insights_percent} % of the 2,000,000 conversations or analyses that Insights holds in a region have landed. Set a TTL in insights_settings.yaml, or ask Google for more."
    }
    }, var.alerts.daily_cost_usd == null ? {} : {
    daily_cost = {
      condition = "jsonPayload.cost_usd_last_day>${coalesce(var.alerts.daily_cost_usd, 0)}"
      title     = "cost of a day's analyses"
      help      = "The analyses of the last 24 h cost more than US$ ${coalesce(var.alerts.daily_cost_usd, 0)} at list price. The mart ci_costs has them by day."
    }
  }) : {}
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(try(var.alerts.emails, []))

  project      = var.project_id
  display_name = each.value
  type         = "email"

  labels = {
    email_address = each.value
  }

  # An address that leaves the list is taken out of the alerts with it.
  force_delete = true

  depends_on = [google_project_service.enabled]
}

resource "google_monitoring_alert_policy" "health" {
  for_each = local._health_alerts

  project      = var.project_id
  display_name = "Conversation coach ${var.environment}: ${each.value.title}"
  combiner     = "OR"
  severity     = "WARNING"
  user_labels  = local.labels

  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  conditions {
    display_name = each.value.title

    condition_matched_log {
      filter = join(" AND ", [
        "resource.type=\"cloud_run_job\"",
        "resource.labels.job_name=\"${google_cloud_run_v2_job.jobs["health"].name}\"",
        "jsonPayload.event=\"pipeline_health\"",
        each.value.condition,
      ])
    }
  }

  # A log alert must say how often it may speak; the job logs every hour.
  alert_strategy {
    auto_close = "7200s"

    notification_rate_limit {
      period = "14400s"
    }
  }

  documentation {
    content   = each.value.help
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "freshness" {
  count = var.alerts == null ? 0 : 1

  project      = var.project_id
  display_name = "Conversation coach ${var.environment}: nothing landed"
  combiner     = "OR"
  severity     = "WARNING"
  user_labels  = local.labels

  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  conditions {
    display_name = "no analysed conversation landed"

    condition_absent {
      filter = join(" AND ", [
        "resource.type=\"bigquery_dataset\"",
        "resource.labels.dataset_id=\"${google_bigquery_dataset.raw.dataset_id}\"",
        "metric.type=\"bigquery.googleapis.com/storage/uploaded_row_count\"",
        "metric.labels.table=\"${google_bigquery_table.raw["ci_conversations"].table_id}\"",
      ])
      duration = "${var.alerts.freshness_hours * 3600}s"

      aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = "No row reached ci_conversations for ${var.alerts.freshness_hours} h. BigQuery tells of an upload up to six hours late. See the executions of the sidecar's job and of the workflow."
    mime_type = "text/markdown"
  }
}
