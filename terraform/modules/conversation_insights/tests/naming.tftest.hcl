mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "google-beta" {}


variables {
  environment    = "dev"
  location       = "europe-west1"
  project_id     = "acme-coach"
  project_number = "123456789012"
}

run "names_follow_project_and_environment" {
  command = plan

  assert {
    condition     = google_storage_bucket.conversations.name == "acme-coach-cc-dev"
    error_message = "The bucket is named <PROJECT>-cc-<env>."
  }
  assert {
    condition     = output.datasets == { raw = "coach_raw", staging = "coach_staging", marts = "coach" }
    error_message = "One environment a project needs no suffix."
  }
  assert {
    condition     = google_service_account.sidecar.account_id == "coach-sidecar-dev" && google_service_account.dbt.account_id == "coach-dbt-dev"
    error_message = "Accounts carry the environment's name."
  }
  assert {
    condition = output.sidecar_environment == {
      INGEST_PROJECT_ID    = "acme-coach"
      INGEST_BUCKET        = "acme-coach-cc-dev"
      INGEST_LOCATION      = "europe-west1"
      INGEST_RAW_DATASET   = "coach_raw"
      INGEST_MARTS_DATASET = "coach"
      INGEST_REDACTION     = "off"

      DBT_PERSONAL_DATA_POLICY_TAG = "projects/acme-coach/locations/europe-west1/taxonomies/1/policyTags/2"
    }
    error_message = "The settings of the sidecar name what was made here."
  }
}

run "everything_lies_in_one_region" {
  command = plan

  assert {
    condition = toset(concat(
      [lower(google_storage_bucket.conversations.location), google_data_catalog_taxonomy.conversations.region],
      [google_bigquery_dataset.raw.location],
      [for dataset in google_bigquery_dataset.dbt : dataset.location],
      [for view in google_contact_center_insights_view.saved : view.location],
    )) == toset(["europe-west1"])
    error_message = "Bucket, datasets, taxonomy and Insights share the region."
  }
}

run "a_project_may_hold_two_environments" {
  command = plan

  variables {
    environment    = "test"
    dataset_suffix = "_test"
  }

  assert {
    condition     = output.datasets == { raw = "coach_raw_test", staging = "coach_test_staging", marts = "coach_test" }
    error_message = "The suffix is on every dataset, and staging is what dbt calls it."
  }
  assert {
    condition     = google_bigquery_dataset.dbt["staging"].dataset_id == "${google_bigquery_dataset.dbt["marts"].dataset_id}_staging"
    error_message = "dbt adds _staging to its target's dataset."
  }
}

run "own_labels_never_hide_ours" {
  command = plan

  variables {
    labels = { team = "qa", managed_by = "hand" }
  }

  assert {
    condition     = google_storage_bucket.conversations.labels == tomap({ application = "conversation-coach", environment = "dev", managed_by = "terraform", team = "qa" })
    error_message = "Ours win."
  }
}
