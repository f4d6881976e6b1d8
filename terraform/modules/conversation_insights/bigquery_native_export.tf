# Insights' own export, beside the marts that rebuild it. It has a dataset of its
# own, so that Insights' agent may write here and nowhere near the raw tables.

resource "google_bigquery_dataset" "native_export" {
  project     = var.project_id
  dataset_id  = local.dataset_ids.native_export
  location    = var.location
  description = "Target of Insights' native export (insightsdata:export)."
  labels      = local.labels

  delete_contents_on_destroy = false
  max_time_travel_hours      = tostring(var.retention.time_travel_days * 24)

  # Readers, writers and owners of the project get nothing of their own here, as they would by default. Only said when
  # the dataset is made: what is granted later stands in bigquery_access.tf.
  access {
    role          = "OWNER"
    special_group = "projectOwners"
  }

  dynamic "default_encryption_configuration" {
    for_each = google_kms_crypto_key.conversations

    content {
      kms_key_name = default_encryption_configuration.value.id
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.enabled]

  lifecycle {
    ignore_changes = [access]
  }

  deletion_policy = var.deletion_protection ? "PREVENT" : "DELETE"
}

# Insights refuses to export to a missing table, and writes its own schema into the
# table it finds: made empty, and left alone from then on.
resource "google_bigquery_table" "native_export" {
  #checkov:skip=CKV_GCP_121:a variable: on by default, off in dev alone; the tests look at its value
  project             = var.project_id
  dataset_id          = google_bigquery_dataset.native_export.dataset_id
  table_id            = "conversations"
  description         = "Rewritten by each native export; schema by Insights."
  labels              = local.labels
  deletion_protection = var.deletion_protection

  dynamic "encryption_configuration" {
    for_each = google_kms_crypto_key.conversations

    content {
      kms_key_name = encryption_configuration.value.id
    }
  }

  lifecycle {
    ignore_changes = [schema]
  }
}
