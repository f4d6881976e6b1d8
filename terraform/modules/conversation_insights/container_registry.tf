# Where the image of the Dockerfile lives. Tags can't be moved, and jobs name
# the image by digest anyway.

resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:by variable: the image holds code and seeds, no conversation data
  count = local.has_registry ? 1 : 0

  project       = var.project_id
  location      = var.location
  repository_id = "conversation-coach-${var.environment}"
  description   = "Image of sidecar and dbt."
  format        = "DOCKER"
  labels        = local.labels
  kms_key_name  = local.key_id

  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-ten-newest"
    action = "KEEP"

    most_recent_versions {
      keep_count = 10
    }
  }

  cleanup_policies {
    id     = "delete-older-than-90-days"
    action = "DELETE"

    condition {
      older_than = "7776000s"
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.enabled]
}
