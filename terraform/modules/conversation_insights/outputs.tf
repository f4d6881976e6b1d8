output "bucket" {
  description = "Bucket of source files, Insights transcripts and landing batches."
  value       = google_storage_bucket.conversations.name
}

output "datasets" {
  description = "Dataset ids: raw, staging, marts."
  value       = local.dataset_ids

  depends_on = [google_bigquery_dataset.raw, google_bigquery_dataset.dbt]
}

output "image_repository" {
  description = "Where to push the image; null without cloud_jobs."
  value       = local.has_registry ? "${var.location}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images[0].repository_id}" : null
}

output "personal_data_policy_tag" {
  description = "Policy tag for columns of marts that hold personal data."
  value       = google_data_catalog_policy_tag.personal_data.name
}

output "service_accounts" {
  description = "Addresses of the accounts that jobs run as and people impersonate."
  value = merge(
    {
      sidecar = google_service_account.sidecar.email
      dbt     = google_service_account.dbt.email
    },
    local.has_jobs ? { scheduler = google_service_account.scheduler[0].email } : {},
  )
}

output "sidecar_environment" {
  description = "Settings of sidecar and dbt for this environment, as environment variables."
  value       = local.sidecar_environment

  depends_on = [
    google_bigquery_table.raw,
    google_bigquery_table_iam_member.sidecar_loads,
    google_project_iam_member.sidecar_insights,
    google_storage_bucket_iam_member.sidecar_objects,
    google_storage_managed_folder_iam_member.insights_transcripts,
  ]
}
