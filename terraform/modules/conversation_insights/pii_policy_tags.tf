# Columns that hold what people said or who they are. Reading a table isn't
# enough to read such a column: that takes a grant on its tag.

resource "google_data_catalog_taxonomy" "conversations" {
  project                = var.project_id
  region                 = var.location
  display_name           = "conversation-coach-${var.environment}"
  description            = "Sensitivity of conversation data."
  activated_policy_types = ["FINE_GRAINED_ACCESS_CONTROL"]

  depends_on = [google_project_service.enabled]
}

resource "google_data_catalog_policy_tag" "personal_data" {
  taxonomy     = google_data_catalog_taxonomy.conversations.id
  display_name = "personal_data"
  description  = "Words, names, numbers and accounts of customers and agents."
}

locals {
  _tag_readers = merge(
    {
      # Erasing one customer and judging a matcher's impact read payloads.
      sidecar = google_service_account.sidecar.member
      dbt     = google_service_account.dbt.member
    },
    var.pii_readers_group == null ? {} : { people = "group:${var.pii_readers_group}" },
  )
}

resource "google_data_catalog_policy_tag_iam_member" "readers" {
  for_each = local._tag_readers

  policy_tag = google_data_catalog_policy_tag.personal_data.name
  role       = "roles/datacatalog.categoryFineGrainedReader"
  member     = each.value
}

# Analysts see null instead of an error where dbt puts the tag on a mart.
resource "google_bigquery_datapolicy_data_policy" "masked" {
  project          = var.project_id
  location         = var.location
  data_policy_id   = "coach_personal_data_${var.environment}"
  policy_tag       = google_data_catalog_policy_tag.personal_data.name
  data_policy_type = "DATA_MASKING_POLICY"

  data_masking_policy {
    predefined_expression = "ALWAYS_NULL"
  }
}

resource "google_bigquery_datapolicy_data_policy_iam_member" "masked_readers" {
  for_each = local._analysts

  project        = var.project_id
  location       = var.location
  data_policy_id = google_bigquery_datapolicy_data_policy.masked.data_policy_id
  role           = "roles/bigquerydatapolicy.maskedReader"
  member         = each.value
}
