# Every API that any environment may use: they take minutes to be seen
# everywhere, so they are on before the first plan of an environment.

locals {
  _services = [
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "bigquerydatapolicy.googleapis.com",
    "billingbudgets.googleapis.com",
    "cloudkms.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "contactcenterinsights.googleapis.com",
    "datacatalog.googleapis.com",
    "dlp.googleapis.com",
    "eventarc.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
    "sts.googleapis.com",
    "workflowexecutions.googleapis.com",
    "workflows.googleapis.com",
  ]
}

resource "google_project_service" "enabled" {
  for_each = toset(local._services)

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}

# An API that was just switched on answers everywhere only after a while; what
# uses one in this same apply waits for it.
resource "terraform_data" "services_are_seen" {
  triggers_replace = local._services

  provisioner "local-exec" {
    command = "sleep 60"
  }

  depends_on = [google_project_service.enabled]
}
