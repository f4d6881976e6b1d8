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

run "raw_tables_are_the_declared_schemas" {
  command = plan

  assert {
    condition = toset(keys(google_bigquery_table.raw)) == toset([
      for file in fileset("../../../ingest/schemas", "*.json") : trimsuffix(file, ".json") if !endswith(file, ".schema.json")
    ])
    error_message = "One table a file; source formats (*.schema.json) are no tables."
  }
  assert {
    condition = alltrue([
      for name, table in google_bigquery_table.raw :
      jsonencode([for column in jsondecode(table.schema) : { for key, value in column : key => value if key != "policyTags" }])
      == jsonencode(jsondecode(file("../../../ingest/schemas/${name}.json")))
    ])
    error_message = "Columns, types, modes and descriptions come from ingest/schemas unchanged."
  }
}

run "the_tables_that_the_sidecar_lands_in_are_among_them" {
  command = plan

  assert {
    condition     = length(setsubtract(["ci_conversations", "conversation_files", "phrase_matchers", "pipeline_events"], keys(google_bigquery_table.raw))) == 0
    error_message = "Files, Insights conversations, events, matcher revisions."
  }
}

run "raw_tables_are_partitioned_clustered_and_guarded" {
  command = plan

  assert {
    condition = alltrue([
      for table in google_bigquery_table.raw :
      table.time_partitioning[0].type == "DAY" && table.time_partitioning[0].field == "_landed_at" && table.require_partition_filter == true
    ])
    error_message = "By day of landing, and a query must say which days."
  }
  assert {
    condition = { for name, table in google_bigquery_table.raw : name => one(table.clustering) } == {
      for name in keys(google_bigquery_table.raw) : name => jsondecode(file("../../../ingest/schemas/${name}.json"))[0].name
    }
    error_message = "Clustered by the first column."
  }
  assert {
    condition     = alltrue([for table in google_bigquery_table.raw : table.deletion_protection == true])
    error_message = "A plan that would replace a raw table is refused."
  }
}

run "datasets_keep_their_contents" {
  command = plan

  variables {
    retention = { time_travel_days = 2 }
  }

  assert {
    condition = alltrue([
      for dataset in concat([google_bigquery_dataset.raw], values(google_bigquery_dataset.dbt)) :
      dataset.delete_contents_on_destroy == false && dataset.max_time_travel_hours == "48"
    ])
    error_message = "Destroying never empties a dataset; time travel is as told."
  }
}
