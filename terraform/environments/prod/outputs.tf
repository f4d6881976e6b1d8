output "bucket" {
  description = "Bucket of source files, Insights transcripts and landing batches."
  value       = module.conversation_insights.bucket
}

output "image_repository" {
  description = "Where to push the image; null without cloud_jobs."
  value       = module.conversation_insights.image_repository
}

output "personal_data_policy_tag" {
  description = "Policy tag for columns of marts that hold personal data."
  value       = module.conversation_insights.personal_data_policy_tag
}

output "service_accounts" {
  description = "Addresses of the accounts that jobs run as and people impersonate."
  value       = module.conversation_insights.service_accounts
}

output "sidecar_environment" {
  description = "Lines for `.env`: the settings of ingest and dbt for this environment."
  value       = join("\n", [for name, value in module.conversation_insights.sidecar_environment : "${name}=${value}"])
}
