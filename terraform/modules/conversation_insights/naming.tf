# Names, labels and the catalogue of raw tables: locals only, no resources.

locals {
  repository_root = "${path.module}/../../.."

  bucket_name       = "${var.project_id}-cc-${var.environment}"
  transcript_folder = "ci-transcripts/"
  landing_prefix    = "_landing/"
  ready_prefix      = "_ready/"
  runs_prefix       = "_runs/"
  originals_prefix  = "originals/"

  # dbt names its second dataset itself: the target's and "_staging".
  dataset_ids = {
    raw     = "coach_raw${var.dataset_suffix}"
    staging = "coach${var.dataset_suffix}_staging"
    marts   = "coach${var.dataset_suffix}"
  }

  labels = merge(var.labels, {
    application = "conversation-coach"
    environment = var.environment
    managed_by  = "terraform"
  })

  # One file a table, in BigQuery's own schema form; the sidecar and the local
  # stack read the same files. `*.schema.json` describe source files instead.
  _schema_folder = "${local.repository_root}/ingest/schemas"
  raw_tables = {
    for file in fileset(local._schema_folder, "*.json") :
    trimsuffix(file, ".json") => jsondecode(file("${local._schema_folder}/${file}"))
    if !endswith(file, ".schema.json")
  }

  partition_column = "_landed_at"
  pii_columns      = ["payload"]

  # What the sidecar reads from its environment; the same on a laptop, in a
  # Cloud Run job and under a local-exec provisioner.
  sidecar_environment = merge({
    INGEST_PROJECT_ID    = var.project_id
    INGEST_BUCKET        = local.bucket_name
    INGEST_LOCATION      = var.location
    INGEST_RAW_DATASET   = local.dataset_ids.raw
    INGEST_MARTS_DATASET = local.dataset_ids.marts
    INGEST_REDACTION     = var.redaction
    # dbt puts it on columns of its tables.
    DBT_PERSONAL_DATA_POLICY_TAG                        = google_data_catalog_policy_tag.personal_data.name
    }, length(var.regions) == 0 ? {} : { INGEST_REGIONS = join(",", sort(local.insights_regions)) }, {
    for place, days in {
      FILES     = var.retention.raw_days
      INSIGHTS  = var.retention.insights_days
      ORIGINALS = local.redacts ? local.originals_days : null
    } : "INGEST_RETENTION_${place}_DAYS" => tostring(days) if days != null
  })

  # Where Insights takes conversations.
  insights_regions = toset(concat([var.location], var.regions))

  has_registry  = var.cloud_jobs != null
  has_jobs      = try(var.cloud_jobs.image, null) != null
  has_cmek      = var.customer_managed_key
  has_redaction = var.pii_redaction
  redacts       = var.redaction == "before_insights"
  has_topic     = length(var.insights_notifications) > 0
}
