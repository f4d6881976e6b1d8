# Bootstrap enables these already, since activation takes minutes to be seen
# everywhere; here they are what all else depends on.

locals {
  _services = concat(
    [
      "bigquery.googleapis.com",
      "bigquerydatapolicy.googleapis.com",
      "contactcenterinsights.googleapis.com",
      "datacatalog.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "storage.googleapis.com",
    ],
    local.has_cmek ? ["cloudkms.googleapis.com"] : [],
    local.has_redaction ? ["dlp.googleapis.com"] : [],
    local.has_topic || local.has_jobs ? ["pubsub.googleapis.com"] : [],
    local.has_registry ? ["artifactregistry.googleapis.com"] : [],
    local.has_jobs ? [
      "cloudscheduler.googleapis.com",
      "eventarc.googleapis.com",
      "run.googleapis.com",
      "workflowexecutions.googleapis.com",
      "workflows.googleapis.com",
    ] : [],
    var.budget != null ? ["billingbudgets.googleapis.com"] : [],
  )
}

resource "google_project_service" "enabled" {
  for_each = toset(local._services)

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}
