# Grants on datasets and tables. `bigquery.jobUser` is the one right that
# exists only for a whole project: it lets an account run queries and loads,
# and shows it no data.

locals {
  # Made by bootstrap.
  _policy_tag_setter = "projects/${var.project_id}/roles/coach_policy_tag_setter"

  _analysts = var.analysts_group == null ? {} : { analysts = "group:${var.analysts_group}" }

  _job_users = merge(
    {
      sidecar = google_service_account.sidecar.member
      dbt     = google_service_account.dbt.member
    },
    local._analysts,
  )

  _dataset_grants = merge(
    {
      "dbt reads raw"      = { dataset = google_bigquery_dataset.raw.dataset_id, role = "roles/bigquery.dataViewer", member = google_service_account.dbt.member }
      "dbt builds staging" = { dataset = google_bigquery_dataset.dbt["staging"].dataset_id, role = "roles/bigquery.dataEditor", member = google_service_account.dbt.member }
      # A tag that restricts a column is no table property that an editor may change.
      "dbt tags staging" = { dataset = google_bigquery_dataset.dbt["staging"].dataset_id, role = local._policy_tag_setter, member = google_service_account.dbt.member }
      "dbt tags marts"   = { dataset = google_bigquery_dataset.dbt["marts"].dataset_id, role = local._policy_tag_setter, member = google_service_account.dbt.member }
      "dbt builds marts" = { dataset = google_bigquery_dataset.dbt["marts"].dataset_id, role = "roles/bigquery.dataEditor", member = google_service_account.dbt.member }
      # Names and schemas, no rows: `ingest doctor` compares them with ingest/schemas.
      "sidecar describes raw" = { dataset = google_bigquery_dataset.raw.dataset_id, role = "roles/bigquery.metadataViewer", member = google_service_account.sidecar.member }
      "sidecar reads marts"   = { dataset = google_bigquery_dataset.dbt["marts"].dataset_id, role = "roles/bigquery.dataViewer", member = google_service_account.sidecar.member }
    },
    {
      for name, member in local._analysts : "${name} read marts" => {
        dataset = google_bigquery_dataset.dbt["marts"].dataset_id, role = "roles/bigquery.dataViewer", member = member
      }
    },
  )
}

resource "google_project_iam_member" "bigquery_jobs" {
  for_each = local._job_users

  project = var.project_id
  role    = "roles/bigquery.jobUser"
  member  = each.value
}

resource "google_bigquery_dataset_iam_member" "granted" {
  for_each = local._dataset_grants

  project    = var.project_id
  dataset_id = each.value.dataset
  role       = each.value.role
  member     = each.value.member
}

# Table by table, so that the sidecar can load rows and make no tables.
resource "google_bigquery_table_iam_member" "sidecar_loads" {
  for_each = google_bigquery_table.raw

  project    = var.project_id
  dataset_id = each.value.dataset_id
  table_id   = each.value.table_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.sidecar.member
}

# Some marts are views over staging: who may read marts may read them, and nothing else of staging. Tags of columns
# below a view hold for whoever asks.
resource "google_bigquery_dataset_access" "marts_read_staging" {
  project    = var.project_id
  dataset_id = google_bigquery_dataset.dbt["staging"].dataset_id

  dataset {
    target_types = ["VIEWS"]

    dataset {
      project_id = var.project_id
      dataset_id = google_bigquery_dataset.dbt["marts"].dataset_id
    }
  }

  # Both write the dataset's one list.
  depends_on = [google_bigquery_dataset_iam_member.granted]
}
