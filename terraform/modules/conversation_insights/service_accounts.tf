# One account a job. None has a key: jobs run as them, people impersonate them.

resource "google_service_account" "sidecar" {
  project      = var.project_id
  account_id   = "coach-sidecar-${var.environment}"
  display_name = "Conversation coach: ingest"
  description  = "Pushes conversations to Cloud Storage and Insights and lands raw rows."

  depends_on = [google_project_service.enabled]
}

resource "google_service_account" "dbt" {
  project      = var.project_id
  account_id   = "coach-dbt-${var.environment}"
  display_name = "Conversation coach: dbt"
  description  = "Reads raw tables, builds staging and marts."

  depends_on = [google_project_service.enabled]
}

resource "google_service_account" "scheduler" {
  count = local.has_jobs ? 1 : 0

  project      = var.project_id
  account_id   = "coach-scheduler-${var.environment}"
  display_name = "Conversation coach: scheduler"
  description  = "Starts the jobs, and nothing else."

  depends_on = [google_project_service.enabled]
}

locals {
  _job_accounts = merge(
    {
      sidecar = google_service_account.sidecar.name
      dbt     = google_service_account.dbt.name
    },
    local.has_jobs ? { scheduler = google_service_account.scheduler[0].name } : {},
  )
}

# Whoever makes a job that runs as an account must be allowed to act as it:
# given here account by account, never for the whole project.
resource "google_service_account_iam_member" "deployer_acts_as" {
  for_each = var.deployer == null ? {} : local._job_accounts

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${var.deployer}"
}

# People who run commands with the rights of a job instead of their own. An owner may not by default.
resource "google_service_account_iam_member" "operators_act_as" {
  for_each = { for pair in setproduct(["sidecar", "dbt"], var.operators) : "${pair[1]} as ${pair[0]}" => pair }

  service_account_id = each.value[0] == "sidecar" ? google_service_account.sidecar.name : google_service_account.dbt.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value[1]
}
