# Insights' settings of this location have no resource either: the same way. The
# file holds what is the same everywhere; names of things made here are added.

locals {
  _settings_file = yamldecode(file("${local.repository_root}/terraform/insights_settings.yaml"))

  insights_settings = merge(
    local._settings_file,
    var.retention.insights_days == null ? {} : { conversation_ttl_days = var.retention.insights_days },
    local.has_redaction ? {
      redaction = {
        inspect_template    = google_data_loss_prevention_inspect_template.conversations[0].id
        deidentify_template = google_data_loss_prevention_deidentify_template.conversations[0].id
      }
    } : {},
    local.has_topic ? {
      notifications = { for trigger in var.insights_notifications : trigger => google_pubsub_topic.insights_events[0].id }
    } : {},
  )
}

resource "terraform_data" "insights_settings" {
  for_each = local.insights_regions

  triggers_replace = {
    settings = sha256(jsonencode(local.insights_settings))
    project  = var.project_id
    location = each.value
  }

  provisioner "local-exec" {
    command     = "printf '%s' \"$INSIGHTS_SETTINGS\" | ingest settings apply -"
    environment = merge(local.sidecar_environment, { INSIGHTS_SETTINGS = jsonencode(local.insights_settings), INGEST_REGION = each.value })
  }

  depends_on = [
    google_contact_center_insights_encryption_spec.conversations,
    google_project_iam_member.insights_redacts,
    google_project_service_identity.insights,
    google_pubsub_topic_iam_member.insights_publishes,
  ]
}

# Told by Insights when an event has completed; holds resource names, no words.
resource "google_pubsub_topic" "insights_events" {
  #checkov:skip=CKV_GCP_83:by variable: messages hold names of resources, no conversation data
  count = local.has_topic ? 1 : 0

  project                    = var.project_id
  name                       = "coach-insights-events-${var.environment}"
  labels                     = local.labels
  message_retention_duration = "604800s"
  kms_key_name               = local.key_id

  message_storage_policy {
    allowed_persistence_regions = [var.location]
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.enabled]
}

resource "google_pubsub_topic_iam_member" "insights_publishes" {
  count = local.has_topic ? 1 : 0

  project = var.project_id
  topic   = google_pubsub_topic.insights_events[0].name
  role    = "roles/pubsub.publisher"
  member  = google_project_service_identity.insights.member
}
