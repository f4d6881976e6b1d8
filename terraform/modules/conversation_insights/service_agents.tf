# Google's own accounts in this project: Insights reads transcripts and writes its
# export as its agent, not as the caller.

resource "google_project_service_identity" "insights" {
  provider = google-beta

  project = var.project_id
  service = "contactcenterinsights.googleapis.com"

  depends_on = [google_project_service.enabled]
}

# Asking for these two makes them; nothing else does before a key or a
# notification has to name them.
data "google_storage_project_service_account" "storage" {
  count = local.has_cmek || local.has_jobs ? 1 : 0

  project    = var.project_id
  depends_on = [google_project_service.enabled]
}

data "google_bigquery_default_service_account" "bigquery" {
  count = local.has_cmek ? 1 : 0

  project    = var.project_id
  depends_on = [google_project_service.enabled]
}
