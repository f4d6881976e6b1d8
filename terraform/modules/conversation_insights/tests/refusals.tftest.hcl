mock_provider "google" {}
mock_provider "google-beta" {}

variables {
  environment    = "dev"
  location       = "us-central1"
  project_id     = "acme-coach"
  project_number = "123456789012"
}

run "names_and_numbers_that_cannot_be" {
  command = plan

  variables {
    alerts                 = { emails = [], freshness_hours = 30 }
    analysis_rule          = { analysis_percent = 0 }
    analysts_group         = "group:analysts@acme.example"
    budget                 = { billing_account = "0123", monthly_amount = 10 }
    cloud_jobs             = { image = "registry/ingest:latest", sidecar_tasks = 1000 }
    dataset_suffix         = "-dev"
    environment            = "staging"
    insights_agent_mode    = "wide"
    insights_notifications = ["conversation-created"]
    location               = "us-central2"
    project_id             = "123456789012"
    project_number         = "acme-coach"
    retention              = { soft_delete_days = 3, time_travel_days = 14, noncurrent_days = 0 }
  }

  expect_failures = [
    var.alerts,
    var.analysis_rule,
    var.analysts_group,
    var.budget,
    var.cloud_jobs,
    var.dataset_suffix,
    var.environment,
    var.insights_agent_mode,
    var.insights_notifications,
    var.location,
    var.project_id,
    var.project_number,
    var.retention,
  ]
}

run "an_image_by_tag" {
  command = plan

  variables {
    cloud_jobs = { image = "registry/ingest:latest" }
  }

  expect_failures = [var.cloud_jobs]
}

run "more_tasks_than_the_quota_feeds" {
  command = plan

  variables {
    cloud_jobs = { sidecar_tasks = 1000 }
  }

  expect_failures = [var.cloud_jobs]
}

run "absence_longer_than_monitoring_can_notice" {
  command = plan

  variables {
    alerts = { emails = ["a@acme.example"], freshness_hours = 24 }
  }

  expect_failures = [var.alerts]
}

run "a_soft_delete_that_storage_refuses" {
  command = plan

  variables {
    retention = { soft_delete_days = 3 }
  }

  expect_failures = [var.retention]
}

run "a_time_travel_that_bigquery_refuses" {
  command = plan

  variables {
    retention = { time_travel_days = 14 }
  }

  expect_failures = [var.retention]
}

run "old_generations_kept_for_no_time" {
  command = plan

  variables {
    retention = { noncurrent_days = 0 }
  }

  expect_failures = [var.retention]
}

run "originals_that_insights_could_read" {
  command = plan

  variables {
    insights_agent_mode = "service_agent_role"
    redaction           = "before_insights"
  }

  expect_failures = [var.redaction]
}
