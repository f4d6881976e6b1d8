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
