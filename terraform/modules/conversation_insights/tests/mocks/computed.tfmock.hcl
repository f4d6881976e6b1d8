# What the provider would compute, known at plan time so that assertions can
# compare it.

mock_resource "google_bigquery_table" {
  override_during = plan
  defaults = {
    id = "projects/acme-coach/datasets/coach_raw/tables/mocked"
  }
}

mock_resource "google_data_catalog_policy_tag" {
  override_during = plan
  defaults = {
    name = "projects/acme-coach/locations/europe-west1/taxonomies/1/policyTags/2"
  }
}

mock_resource "google_kms_crypto_key" {
  override_during = plan
  defaults = {
    id = "projects/acme-coach/locations/europe-west1/keyRings/coach-dev/cryptoKeys/conversations"
  }
}

mock_resource "google_pubsub_topic" {
  override_during = plan
  defaults = {
    id = "projects/acme-coach/topics/mocked"
  }
}

mock_resource "google_workflows_workflow" {
  override_during = plan
  defaults = {
    id = "projects/acme-coach/locations/europe-west1/workflows/coach-process-date-dev"
  }
}
