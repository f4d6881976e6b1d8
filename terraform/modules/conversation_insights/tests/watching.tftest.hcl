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

run "alerts_reach_everybody_named" {
  command = plan

  variables {
    alerts = { emails = ["a@acme.example", "b@acme.example"], backlog_age_hours = 12, failure_percent = 2.5, freshness_hours = 20, daily_cost_usd = 40 }
  }

  assert {
    condition     = google_monitoring_alert_policy.health["backlog_age"].conditions[0].condition_matched_log[0].filter == "resource.type=\"cloud_run_job\" AND resource.labels.job_name=\"coach-health-dev\" AND jsonPayload.event=\"pipeline_health\" AND jsonPayload.backlog_age_hours>12"
    error_message = "Age of the oldest waiting conversation."
  }
  assert {
    condition     = endswith(google_monitoring_alert_policy.health["failure_share"].conditions[0].condition_matched_log[0].filter, " AND jsonPayload.failure_percent>2.5")
    error_message = "Share of failed conversations."
  }
  assert {
    condition     = { for name, policy in google_monitoring_alert_policy.health : name => one(regex("AND (jsonPayload\\.[a-z_]+>[0-9.]+)$", policy.conditions[0].condition_matched_log[0].filter)) } == { backlog_age = "jsonPayload.backlog_age_hours>12", daily_cost = "jsonPayload.cost_usd_last_day>40", days_not_landed = "jsonPayload.days_not_landed>0", failure_share = "jsonPayload.failure_percent>2.5", insights_room = "jsonPayload.insights_percent>80" }
    error_message = "What the hourly line is compared with."
  }
  assert {
    condition     = google_monitoring_alert_policy.failed["workflow"].conditions[0].condition_threshold[0].filter == "resource.type=\"workflows.googleapis.com/Workflow\" AND resource.labels.workflow_id=\"coach-process-date-dev\" AND metric.type=\"workflows.googleapis.com/finished_execution_count\" AND metric.labels.status=\"FAILED\""
    error_message = "A failed workflow."
  }
  assert {
    condition     = { for name, policy in google_monitoring_alert_policy.failed : name => policy.conditions[0].condition_threshold[0].filter if name != "workflow" } == { for job in ["dbt", "drift", "health"] : job => "resource.type=\"cloud_run_job\" AND resource.labels.job_name=\"coach-${job}-dev\" AND metric.type=\"run.googleapis.com/job/completed_execution_count\" AND metric.labels.result=\"failed\"" }
    error_message = "Failed jobs but the sidecar's, whose workflow tells."
  }
  assert {
    condition     = google_monitoring_alert_policy.freshness[0].conditions[0].condition_absent[0].duration == "72000s"
    error_message = "Nothing landed for 20 hours."
  }
  assert {
    condition     = alltrue([for policy in concat(values(google_monitoring_alert_policy.health), values(google_monitoring_alert_policy.failed), google_monitoring_alert_policy.freshness) : length(policy.notification_channels) == 2])
    error_message = "Every alert tells both."
  }
}

run "no_addresses_no_alerts" {
  command = plan

  assert {
    condition     = length(google_monitoring_alert_policy.health) == 0 && length(google_monitoring_alert_policy.freshness) == 0 && length(google_monitoring_notification_channel.email) == 0
    error_message = "Off by default."
  }
}

run "freshness_is_watched_without_cloud_jobs" {
  command = plan

  variables {
    alerts     = { emails = ["a@acme.example"] }
    cloud_jobs = null
  }

  assert {
    condition     = length(google_monitoring_alert_policy.health) == 0 && length(google_monitoring_alert_policy.failed) == 0 && length(google_monitoring_alert_policy.freshness) == 1
    error_message = "The others watch jobs."
  }
}

run "a_budget_warns_three_times" {
  command = plan

  variables {
    budget = { billing_account = "012345-6789AB-CDEF01", monthly_amount = 500, currency_code = "EUR" }
  }

  assert {
    condition     = [for rule in google_billing_budget.project[0].threshold_rules : rule.threshold_percent] == [0.5, 0.9, 1]
    error_message = "At half, at nine tenths, at all of it."
  }
  assert {
    condition     = google_billing_budget.project[0].amount[0].specified_amount[0].units == "500" && google_billing_budget.project[0].amount[0].specified_amount[0].currency_code == "EUR" && google_billing_budget.project[0].budget_filter[0].projects == toset(["projects/123456789012"])
    error_message = "Of this project alone."
  }
}

run "audit_logs_cover_both_places_where_words_lie_and_who_became_whom" {
  command = plan

  variables {
    audit_logs = true
  }

  assert {
    condition = { for service, config in google_project_iam_audit_config.conversation_data : service => toset([for log in config.audit_log_config : log.log_type]) } == {
      "contactcenterinsights.googleapis.com" = toset(["DATA_READ", "DATA_WRITE"])
      "iam.googleapis.com"                   = toset(["DATA_READ", "DATA_WRITE"])
      "storage.googleapis.com"               = toset(["DATA_READ", "DATA_WRITE"])
    }
    error_message = "Reads and writes of Insights and of the bucket."
  }
}
