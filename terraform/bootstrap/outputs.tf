output "deployer" {
  description = "Account that applies the environments: `deployer` of each environment."
  value       = google_service_account.deployer.email
}

output "state_bucket" {
  description = "Bucket for `terraform init -backend-config=bucket=…`."
  value       = google_storage_bucket.state.name
}

output "workload_identity_provider" {
  description = "Provider that the pipeline names to become the deployer; null when deploying by hand."
  value       = var.git_repository_id == null ? null : google_iam_workload_identity_pool_provider.pipeline[0].name
}
