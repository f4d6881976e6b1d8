# The account that applies the environments, and how a pipeline becomes it
# without a key: by a token that its own platform signs.

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
  #checkov:skip=CKV_GCP_125:the condition compares repository id and ref; the check reads literals of one form of `sub` only
  count = var.git_repository_id == null ? 0 : 1

  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.pipeline[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "pipeline"
  display_name                       = "Pipeline of the repository"

  attribute_mapping = {
    "google.subject"          = "assertion.sub"
    "attribute.repository_id" = "assertion.repository_id"
    "attribute.ref"           = "assertion.ref"
  }
  attribute_condition = "assertion.repository_id == '${var.git_repository_id}' && assertion.ref == '${var.git_ref}'"

  oidc {
    issuer_uri = var.oidc_issuer
  }
}

resource "google_service_account_iam_member" "pipeline_becomes_deployer" {
  count = var.git_repository_id == null ? 0 : 1

  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.pipeline[0].name}/attribute.repository_id/${var.git_repository_id}"
}
