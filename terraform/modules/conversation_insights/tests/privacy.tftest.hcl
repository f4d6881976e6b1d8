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

run "the_bucket_is_closed_to_the_public" {
  command = plan

  assert {
    condition     = google_storage_bucket.conversations.public_access_prevention == "enforced"
    error_message = "Public access is prevented whatever a policy says."
  }
  assert {
    condition     = google_storage_bucket.conversations.uniform_bucket_level_access == true
    error_message = "No access lists on single objects."
  }
  assert {
    condition     = google_storage_bucket.conversations.force_destroy == false && google_storage_bucket.conversations.versioning[0].enabled == true
    error_message = "Nothing is destroyed with contents, and overwriting keeps the old generation."
  }
}

run "deleted_objects_go_for_good_after_a_known_time" {
  command = plan

  variables {
    retention = { noncurrent_days = 14, soft_delete_days = 7, raw_days = 90 }
  }

  assert {
    condition     = google_storage_bucket.conversations.soft_delete_policy[0].retention_duration_seconds == 604800
    error_message = "Seven days of soft delete."
  }
  assert {
    condition = jsonencode([for rule in google_storage_bucket.conversations.lifecycle_rule : [
      one(rule.action).type, one(rule.condition).age, one(rule.condition).days_since_noncurrent_time, one(rule.condition).matches_prefix
      ]]) == jsonencode([
      ["Delete", 30, null, ["_landing/"]],
      ["Delete", 90, null, null],
      ["Delete", null, 14, null],
      ["AbortIncompleteMultipartUpload", 7, null, null],
    ])
    error_message = "Landing batches, source files, old generations and broken uploads all end."
  }
}

run "source_files_stay_unless_told_otherwise" {
  command = plan

  assert {
    condition     = jsonencode([for rule in google_storage_bucket.conversations.lifecycle_rule : one(rule.condition).matches_prefix if one(rule.condition).age == 30]) == jsonencode([["_landing/"]]) && length(google_storage_bucket.conversations.lifecycle_rule) == 3
    error_message = "Only landing batches are deleted by age."
  }
}

run "soft_delete_can_be_off_in_dev" {
  command = plan

  variables {
    retention = { soft_delete_days = 0 }
  }

  assert {
    condition     = google_storage_bucket.conversations.soft_delete_policy[0].retention_duration_seconds == 0
    error_message = "Zero is said, since leaving the block out changes nothing."
  }
}

run "personal_data_is_tagged_and_masked" {
  command = plan

  variables {
    analysts_group = "analysts@acme.example"
  }

  assert {
    condition = alltrue([
      for name, table in google_bigquery_table.raw : [
        for column in jsondecode(table.schema) : column.name if can(column.policyTags)
      ] == [for column in jsondecode(table.schema) : column.name if column.name == "payload"]
    ])
    error_message = "Every payload carries the tag, no other column does."
  }
  assert {
    condition     = google_data_catalog_taxonomy.conversations.activated_policy_types == tolist(["FINE_GRAINED_ACCESS_CONTROL"])
    error_message = "A taxonomy that isn't activated protects nothing."
  }
  assert {
    condition     = google_bigquery_datapolicy_data_policy_iam_member.masked_readers["analysts"].member == "group:analysts@acme.example"
    error_message = "Analysts see null where the tag is."
  }
}

run "redaction_templates_reach_ci_settings" {
  command = plan

  variables {
    pii_redaction = true
  }

  assert {
    condition     = sort(keys(local.insights_settings)) == tolist(["analysis", "conversation_ttl_days", "language_code", "redaction"])
    error_message = "Settings name the templates."
  }
  assert {
    condition     = one(one(google_data_loss_prevention_deidentify_template.conversations[0].deidentify_config[0].info_type_transformations).transformations).primitive_transformation[0].replace_with_info_type_config == true
    error_message = "What is found is replaced by its kind."
  }
  assert {
    condition     = google_project_iam_member.insights_redacts[0].role == "roles/dlp.user"
    error_message = "Insights calls DLP as its agent."
  }
}

run "without_redaction_there_are_no_templates" {
  command = plan

  assert {
    condition     = length(google_data_loss_prevention_inspect_template.conversations) == 0 && length(google_project_iam_member.insights_redacts) == 0
    error_message = "Off by default."
  }
}

run "originals_lie_apart_and_few_read_them" {
  command = plan

  variables {
    originals_readers_group = "privacy@acme.example"
    redaction               = "before_insights"
    retention               = { raw_days = 400, originals_days = 30, insights_days = 25 }
  }

  assert {
    condition     = google_storage_managed_folder.originals[0].name == "originals/" && google_storage_managed_folder_iam_member.originals_readers[0].member == "group:privacy@acme.example" && google_storage_managed_folder_iam_member.originals_readers[0].role == "roles/storage.objectViewer"
    error_message = "One group reads originals, and changes none."
  }
  assert {
    condition     = local.sidecar_environment.INGEST_REDACTION == "before_insights" && [for place in ["FILES", "INSIGHTS", "ORIGINALS"] : local.sidecar_environment["INGEST_RETENTION_${place}_DAYS"]] == ["400", "25", "30"]
    error_message = "The sidecar redacts, and knows how long what is kept."
  }
  assert {
    condition     = local.insights_settings.conversation_ttl_days == 25
    error_message = "Insights keeps conversations as long."
  }
  assert {
    condition = jsonencode([for rule in google_storage_bucket.conversations.lifecycle_rule : [
      one(rule.condition).age, one(rule.condition).matches_prefix
      ] if one(rule.condition).age != null && one(rule.condition).age != 7]) == jsonencode([
      [30, ["_landing/"]],
      [30, ["originals/2"]],
      [400, ["2", "ci-transcripts/"]],
    ])
    error_message = "Originals go first, and the key of pseudonyms stays."
  }
}

run "without_redaction_there_is_no_folder_of_originals" {
  command = plan

  assert {
    condition     = length(google_storage_managed_folder.originals) == 0 && local.sidecar_environment.INGEST_REDACTION == "off"
    error_message = "Off by default."
  }
}
