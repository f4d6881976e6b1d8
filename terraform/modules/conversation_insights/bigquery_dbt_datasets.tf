# Everything above raw is dbt's: Terraform owns the datasets, dbt the tables.

locals {
  _dbt_datasets = {
    staging = "Views over the raw tables: JSON is opened here, once."
    marts   = "Registry, Insights export, quality and operations marts, under contract."
  }
}

resource "google_bigquery_dataset" "dbt" {
  for_each = local._dbt_datasets

  project     = var.project_id
  dataset_id  = local.dataset_ids[each.key]
  location    = var.location
  description = each.value
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
