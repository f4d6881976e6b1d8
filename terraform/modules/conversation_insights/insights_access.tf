# Who may call Insights, and what Insights itself may do in this project.

# Editor of Insights alone: conversations, analyses and matchers, no policy.
resource "google_project_iam_member" "sidecar_insights" {
  project = var.project_id
  role    = "roles/contactcenterinsights.editor"
  member  = google_service_account.sidecar.member
}

# The wide way, for when Insights' narrow grants turn out not to be enough.
resource "google_project_iam_member" "insights_agent_role" {
  count = var.insights_agent_mode == "service_agent_role" ? 1 : 0

  project = var.project_id
  role    = "roles/contactcenterinsights.serviceAgent"
  member  = google_project_service_identity.insights.member
}
