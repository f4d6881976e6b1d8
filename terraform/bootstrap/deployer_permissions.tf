# Admin of each service that an environment uses, owner and editor of nothing. Whoever may write
# the policy of an account, or change roles, can become any account, so the deployer may neither:
# who acts as which account is granted by an owner, in the first apply of an environment.

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
  for_each = toset(local._deployer_roles)

  project = var.project_id
  role    = each.value
  member  = google_service_account.deployer.member
}

resource "google_project_iam_custom_role" "account_keeper" {
  project     = var.project_id
  role_id     = "coach_account_keeper"
  title       = "Conversation coach: keep accounts"
  description = "Makes, names and sees service accounts; can't act as them or let others."
  permissions = [
    "iam.roles.get",
    "iam.serviceAccounts.create",
    "iam.serviceAccounts.get",
    "iam.serviceAccounts.getIamPolicy",
    "iam.serviceAccounts.list",
    "iam.serviceAccounts.update",
  ]

  depends_on = [terraform_data.services_are_seen]
}

resource "google_project_iam_member" "deployer_keeps_accounts" {
  project = var.project_id
  role    = google_project_iam_custom_role.account_keeper.name
  member  = google_service_account.deployer.member
}

# For dbt: no predefined role but the dataset's owner holds this permission.
resource "google_project_iam_custom_role" "policy_tag_setter" {
  project     = var.project_id
  role_id     = "coach_policy_tag_setter"
  title       = "Conversation coach: set policy tags"
  description = "Puts policy tags on columns; reads no data."
  permissions = ["bigquery.tables.setCategory"]

  depends_on = [terraform_data.services_are_seen]
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
