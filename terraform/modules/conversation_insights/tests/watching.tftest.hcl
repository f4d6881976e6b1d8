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

run "three_alerts_reach_everybody_named" {
  command = plan

  variables {
    alerts = { emails = ["a@acme.example", "b@acme.example"], backlog_age_hours = 12, failure_percent = 2.5, freshness_hours = 20 }
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
    condition     = google_monitoring_alert_policy.freshness[0].conditions[0].condition_absent[0].duration == "72000s"
    error_message = "Nothing landed for 20 hours."
  }
  assert {
    condition     = alltrue([for policy in concat(values(google_monitoring_alert_policy.health), google_monitoring_alert_policy.freshness) : length(policy.notification_channels) == 2])
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
    condition     = length(google_monitoring_alert_policy.health) == 0 && length(google_monitoring_alert_policy.freshness) == 1
    error_message = "The other two read a job's log."
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

run "audit_logs_cover_both_places_where_words_lie" {
  command = plan

  variables {
    audit_logs = true
  }

  assert {
    condition = { for service, config in google_project_iam_audit_config.conversation_data : service => toset([for log in config.audit_log_config : log.log_type]) } == {
      "contactcenterinsights.googleapis.com" = toset(["DATA_READ", "DATA_WRITE"])
      "storage.googleapis.com"               = toset(["DATA_READ", "DATA_WRITE"])
    }
    error_message = "Reads and writes of Insights and of the bucket."
  }
}
