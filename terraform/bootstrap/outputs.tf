output "deployer" {
  description = "Account that applies the environments: `deployer` of each environment."
  value       = google_service_account.deployer.email
}

output "pipeline_accounts" {
  description = "Accounts that a pipeline becomes to plan and to release; empty when deploying by hand."
  value       = { for name, account in google_service_account.pipeline : name => account.email }
}

output "state_bucket" {
  description = "Bucket for `terraform init -backend-config=bucket=…`."
  value       = google_storage_bucket.state.name
}

output "workload_identity_provider" {
  description = "Provider that the pipeline names to become one of the accounts; null when deploying by hand."
  value       = var.git_repository_id == null ? null : google_iam_workload_identity_pool_provider.pipeline[0].name
}
