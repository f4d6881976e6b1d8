# No provider has a resource for phrase matchers. They are defined in seeds/
# and `ingest matchers apply` makes Insights equal to them; a change of definition,
# project or location runs it again. State holds a digest only, so drift shows
# in `ingest matchers plan`, not in a Terraform plan: see the README.

locals {
  _matcher_files = ["phrase_matchers.csv", "phrase_matcher_rules.csv"]
  _seeds_folder  = abspath("${local.repository_root}/seeds")
}

# Each region has its own, all alike.
resource "terraform_data" "phrase_matchers" {
  for_each = local.insights_regions

  triggers_replace = {
    definitions = sha256(join("", [for file in local._matcher_files : filesha256("${local._seeds_folder}/${file}")]))
    project     = var.project_id
    location    = each.value
  }

  provisioner "local-exec" {
    command     = "ingest matchers apply"
    environment = merge(local.sidecar_environment, { INGEST_SEEDS_DIR = local._seeds_folder, INGEST_REGION = each.value })
  }

  # Applying lands the revisions, and Insights must have its key before any data.
  depends_on = [
    google_bigquery_table.raw,
    google_contact_center_insights_encryption_spec.conversations,
    google_project_service_identity.insights,
    google_storage_bucket.conversations,
  ]
}
