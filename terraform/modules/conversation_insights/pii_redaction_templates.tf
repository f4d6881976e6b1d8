# What Insights redacts when conversations are uploaded or ingested. Insights applies the
# templates to UploadConversation and IngestConversations, not to
# CreateConversation: see the README before relying on them.

locals {
  _redacted_info_types = [
    "CREDIT_CARD_NUMBER",
    "DATE_OF_BIRTH",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "PERSON_NAME",
    "PHONE_NUMBER",
    "STREET_ADDRESS",
    "US_SOCIAL_SECURITY_NUMBER",
  ]
}

resource "google_data_loss_prevention_inspect_template" "conversations" {
  count = local.has_redaction ? 1 : 0

  parent       = "projects/${var.project_id}/locations/${var.location}"
  template_id  = "coach-${var.environment}"
  display_name = "Conversation coach: what counts as personal data"

  inspect_config {
    min_likelihood = "POSSIBLE"

    dynamic "info_types" {
      for_each = local._redacted_info_types

      content {
        name = info_types.value
      }
    }
  }

  depends_on = [google_project_service.enabled]
}

resource "google_data_loss_prevention_deidentify_template" "conversations" {
  count = local.has_redaction ? 1 : 0

  parent       = "projects/${var.project_id}/locations/${var.location}"
  template_id  = "coach-${var.environment}"
  display_name = "Conversation coach: personal data to its kind"

  deidentify_config {
    info_type_transformations {
      transformations {
        primitive_transformation {
          replace_with_info_type_config = true
        }
      }
    }
  }

  depends_on = [google_project_service.enabled]
}

# Insights reads the templates and calls DLP as its agent.
resource "google_project_iam_member" "insights_redacts" {
  count = local.has_redaction && var.insights_agent_mode == "scoped" ? 1 : 0

  project = var.project_id
  role    = "roles/dlp.user"
  member  = google_project_service_identity.insights.member
}
