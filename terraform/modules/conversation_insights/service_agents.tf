# Google's own accounts in this project: Insights reads transcripts as its agent, not
# as the caller.

resource "google_project_service_identity" "insights" {
  provider = google-beta

  project = var.project_id
  service = "contactcenterinsights.googleapis.com"

  depends_on = [google_project_service.enabled]
}

# The trigger acts as this one, so it has to be there before the trigger is made.
resource "google_project_service_identity" "eventarc" {
  provider = google-beta
  count    = local.has_jobs ? 1 : 0

  project = var.project_id
  service = "eventarc.googleapis.com"

  depends_on = [google_project_service.enabled]
}

# A new agent, and what it was just granted, takes a while to be seen everywhere:
# a grant to it, or a trigger that acts as it, would be refused until then.
resource "terraform_data" "agents_are_seen" {
  count = local.has_jobs || local.has_cmek ? 1 : 0

  triggers_replace = concat(
    [google_project_service_identity.insights.email],
    google_project_service_identity.eventarc[*].email,
    [for agent in google_project_service_identity.key_users : agent.email],
  )

  provisioner "local-exec" {
    command = "sleep 60"
  }
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
