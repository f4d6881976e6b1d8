# Admin of each service that an environment uses, owner and editor of nothing.

locals {
  _deployer_roles = [
    "roles/artifactregistry.admin",
    "roles/bigquery.dataOwner",
    "roles/bigquery.jobUser",
    "roles/bigquerydatapolicy.admin",
    "roles/cloudkms.admin",
    "roles/cloudscheduler.admin",
    "roles/contactcenterinsights.editor",
    "roles/datacatalog.categoryAdmin",
    "roles/dlp.deidentifyTemplatesEditor",
    "roles/dlp.inspectTemplatesEditor",
    "roles/eventarc.admin",
    "roles/iam.roleAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/logging.configWriter",
    "roles/monitoring.editor",
    "roles/pubsub.admin",
    "roles/run.admin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
    "roles/workflows.admin",
  ]

  # What the deployer may grant to others on the project: the roles that the
  # module grants there. It can't make itself owner.
  _grantable_roles = [
    "roles/bigquery.jobUser",
    "roles/contactcenterinsights.editor",
    "roles/contactcenterinsights.serviceAgent",
    "roles/dlp.user",
    "roles/eventarc.eventReceiver",
    "roles/logging.logWriter",
    "roles/run.viewer",
    "roles/workflows.invoker",
  ]
}

resource "google_project_iam_member" "deployer" {
  #checkov:skip=CKV_GCP_49:making the jobs' accounts is the deployer's task; it may act as them one by one only
  for_each = toset(local._deployer_roles)

  project = var.project_id
  role    = each.value
  member  = google_service_account.deployer.member
}

resource "google_project_iam_member" "deployer_grants" {
  project = var.project_id
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = google_service_account.deployer.member

  condition {
    title       = "only roles of the pipeline"
    description = "Grants and revokes nothing but the roles that the module uses."
    expression  = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([${join(", ", [for role in local._grantable_roles : "'${role}'"])}])"
  }
}
