# Source files (<date>/<conversation>/…), Insights transcripts and landing batches.

locals {
  # coalesce fails where all are null.
  originals_days = var.retention.originals_days == null ? var.retention.raw_days : var.retention.originals_days

  # Each rule deletes; an empty prefix means the whole bucket.
  _live_rules = merge(
    { landing = { age = var.retention.landing_days, prefixes = [local.landing_prefix] } },
    var.retention.raw_days == null ? {} : {
      # With originals there is the key of pseudonyms, which has to stay: so only what begins with a year.
      raw = { age = var.retention.raw_days, prefixes = local.redacts ? ["2", local.transcript_folder] : null }
    },
    local.redacts && local.originals_days != null ? {
      originals = { age = local.originals_days, prefixes = ["${local.originals_prefix}2"] }
    } : {},
  )
}

resource "google_storage_bucket" "conversations" {
  #checkov:skip=CKV_GCP_62:access to conversations is recorded by Data Access audit logs, see audit_logging.tf
  project  = var.project_id
  name     = local.bucket_name
  location = var.location
  labels   = local.labels

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = var.retention.soft_delete_days * 24 * 60 * 60
  }

  dynamic "lifecycle_rule" {
    for_each = local._live_rules

    content {
      action {
        type = "Delete"
      }
      condition {
        age            = lifecycle_rule.value.age
        matches_prefix = lifecycle_rule.value.prefixes
        with_state     = "LIVE"
      }
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = var.retention.noncurrent_days
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  dynamic "encryption" {
    for_each = google_kms_crypto_key.conversations

    content {
      default_kms_key_name = encryption.value.id
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.enabled]

  deletion_policy = var.deletion_protection ? "PREVENT" : "DELETE"
}

# Day folders can't be listed here, so what Insights may read has a prefix of its
# own. Destroying it with objects inside is refused.
resource "google_storage_managed_folder" "ci_transcripts" {
  bucket        = google_storage_bucket.conversations.name
  name          = local.transcript_folder
  force_destroy = false

  deletion_policy = var.deletion_protection ? "PREVENT" : "DELETE"
}

# Conversations as they were handed in, where all else is redacted.
resource "google_storage_managed_folder" "originals" {
  count = local.redacts ? 1 : 0

  bucket        = google_storage_bucket.conversations.name
  name          = local.originals_prefix
  force_destroy = false

  deletion_policy = var.deletion_protection ? "PREVENT" : "DELETE"
}

# Signs of life and leases of runs; dbt's account writes there and nowhere else.
resource "google_storage_managed_folder" "runs" {
  bucket        = google_storage_bucket.conversations.name
  name          = local.runs_prefix
  force_destroy = true
}
