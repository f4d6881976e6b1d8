# Who reads and writes which part of the bucket.

# Objects only: the account can neither change the bucket nor its policy.
# Deleting is part of it, since `ingest forget` erases every generation.
resource "google_storage_bucket_iam_member" "sidecar_objects" {
  bucket = google_storage_bucket.conversations.name
  role   = "roles/storage.objectUser"
  member = google_service_account.sidecar.member
}

# Insights gets the converted transcripts and never the day folders, which hold
# names, numbers and account data beside the words.
resource "google_storage_managed_folder_iam_member" "insights_transcripts" {
  count = var.insights_agent_mode == "scoped" ? 1 : 0

  bucket         = google_storage_bucket.conversations.name
  managed_folder = google_storage_managed_folder.ci_transcripts.name
  role           = "roles/storage.objectViewer"
  member         = google_project_service_identity.insights.member
}

# Besides the sidecar nobody but these people reads what was said.
resource "google_storage_managed_folder_iam_member" "originals_readers" {
  count = local.redacts && var.originals_readers_group != null ? 1 : 0

  bucket         = google_storage_bucket.conversations.name
  managed_folder = google_storage_managed_folder.originals[0].name
  role           = "roles/storage.objectViewer"
  member         = "group:${var.originals_readers_group}"
}

# So that builds wait for each other.
resource "google_storage_managed_folder_iam_member" "dbt_leases" {
  bucket         = google_storage_bucket.conversations.name
  managed_folder = google_storage_managed_folder.runs.name
  role           = "roles/storage.objectUser"
  member         = google_service_account.dbt.member
}

# Names of objects, so that the workflow knows whether a day has a folder.
resource "google_storage_bucket_iam_member" "scheduler_lists" {
  count = local.has_jobs ? 1 : 0

  bucket = google_storage_bucket.conversations.name
  role   = "roles/storage.legacyBucketReader"
  member = google_service_account.scheduler[0].member
}
