# The account that applies the environments, and how a pipeline becomes it, or
# one with fewer rights, without a key: by a token that its own platform signs.

resource "google_service_account" "deployer" {
  project      = var.project_id
  account_id   = "coach-deployer"
  display_name = "Conversation coach: deployer"
  description  = "Applies Terraform; the only account that changes infrastructure."

  depends_on = [terraform_data.services_are_seen]
}

resource "google_iam_workload_identity_pool" "pipeline" {
  count = var.git_repository_id == null ? 0 : 1

  project                   = var.project_id
  workload_identity_pool_id = "coach-pipeline"
  display_name              = "Conversation coach: pipeline"
  description               = "Tokens of the pipeline that deploys."

  depends_on = [terraform_data.services_are_seen]
}

resource "google_iam_workload_identity_pool_provider" "pipeline" {
  #checkov:skip=CKV_GCP_125:the condition compares the repository's id, and grants go by task; the check reads literals of one form of `sub` only
  count = var.git_repository_id == null ? 0 : 1

  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.pipeline[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "pipeline"
  display_name                       = "Pipeline of the repository"

  # What a run may do follows from what started it: a pull request plans, a push
  # or a person deploys from one ref, a tag of a version releases.
  attribute_mapping = {
    "google.subject"          = "assertion.sub"
    "attribute.repository_id" = "assertion.repository_id"
    "attribute.task"          = "assertion.event_name == 'pull_request' ? 'plan' : (assertion.event_name in ['push', 'workflow_dispatch'] && assertion.ref == '${var.git_ref}') ? 'deploy' : (assertion.event_name == 'push' && assertion.ref.startsWith('refs/tags/v')) ? 'release' : 'none'"
  }
  attribute_condition = "assertion.repository_id == '${var.git_repository_id}'"

  oidc {
    issuer_uri = var.oidc_issuer
  }
}

# Two accounts for what needs less than the deployer's rights.
resource "google_service_account" "pipeline" {
  for_each = var.git_repository_id == null ? {} : {
    planner  = "Reads Terraform's state to plan what a pull request changes."
    releaser = "Pushes images of a release."
  }

  project      = var.project_id
  account_id   = "coach-${each.key}"
  display_name = "Conversation coach: ${each.key}"
  description  = each.value

  depends_on = [terraform_data.services_are_seen]
}

resource "google_storage_bucket_iam_member" "planner_state" {
  count = var.git_repository_id == null ? 0 : 1

  bucket = google_storage_bucket.state.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.pipeline["planner"].member
}

resource "google_project_iam_member" "pipeline" {
  for_each = var.git_repository_id == null ? {} : {
    planner  = "roles/browser"
    releaser = "roles/artifactregistry.writer"
  }

  project = var.project_id
  role    = each.value
  member  = google_service_account.pipeline[each.key].member
}

resource "google_service_account_iam_member" "pipeline_becomes" {
  for_each = var.git_repository_id == null ? {} : {
    deploy  = google_service_account.deployer.name
    plan    = google_service_account.pipeline["planner"].name
    release = google_service_account.pipeline["releaser"].name
  }

  service_account_id = each.value
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.pipeline[0].name}/attribute.task/${each.key}"
}
