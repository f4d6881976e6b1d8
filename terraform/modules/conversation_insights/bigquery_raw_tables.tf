# Append-only facts, one table for each file in ingest/schemas.

resource "google_bigquery_dataset" "raw" {
  project     = var.project_id
  dataset_id  = local.dataset_ids.raw
  location    = var.location
  description = "Facts as they happened: files, Insights conversations, events, matcher revisions. Written by the sidecar, never updated."
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

locals {
  # Policy tags are added here and only here: the schema files stay free of
  # one project's resource names.
  _raw_schemas = {
    for table, columns in local.raw_tables : table => [
      for column in columns : merge(column, contains(local.pii_columns, column.name) ? {
        policyTags = { names = [google_data_catalog_policy_tag.personal_data.name] }
      } : {})
    ]
  }
}

resource "google_bigquery_table" "raw" {
  #checkov:skip=CKV_GCP_121:a variable: on by default, off in dev alone; the tests look at its value
  for_each = local.raw_tables

  project     = var.project_id
  dataset_id  = google_bigquery_dataset.raw.dataset_id
  table_id    = each.key
  description = "Raw ${replace(each.key, "_", " ")}: declared in ingest/schemas/${each.key}.json."
  labels      = local.labels

  schema                   = jsonencode(local._raw_schemas[each.key])
  clustering               = [each.value[0].name]
  require_partition_filter = true
  deletion_protection      = var.deletion_protection

  time_partitioning {
    type  = "DAY"
    field = local.partition_column
  }

  dynamic "encryption_configuration" {
    for_each = google_kms_crypto_key.conversations

    content {
      kms_key_name = encryption_configuration.value.id
    }
  }
}
