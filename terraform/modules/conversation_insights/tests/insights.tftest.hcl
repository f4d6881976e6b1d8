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

run "ci_analyses_nothing_by_itself" {
  command = plan

  assert {
    condition     = length(google_contact_center_insights_analysis_rule.automatic) == 0
    error_message = "Each analysis is billed, and the sidecar makes them."
  }
}

run "an_analysis_rule_uses_the_profile_of_the_sidecar" {
  command = plan

  variables {
    analysis_rule = { analysis_percent = 25, conversation_filter = "medium=\"CHAT\"" }
  }

  assert {
    condition     = google_contact_center_insights_analysis_rule.automatic[0].analysis_percentage == 0.25 && google_contact_center_insights_analysis_rule.automatic[0].active == true
    error_message = "A share of 0 to 1."
  }
  assert {
    condition = [for name, value in google_contact_center_insights_analysis_rule.automatic[0].annotator_selector[0] : name if value == true] == [
      "run_entity_annotator", "run_intent_annotator", "run_phrase_matcher_annotator", "run_sentiment_annotator"
    ]
    error_message = "Sentiment, entities, intents and all active matchers."
  }
}

run "saved_views_are_filters" {
  command = plan

  assert {
    condition     = google_contact_center_insights_view.saved["Not analysed yet"].value == "-latest_analysis:\"*\""
    error_message = "The backlog, as Insights sees it."
  }
}

run "matchers_and_settings_run_again_when_they_change" {
  command = plan

  assert {
    condition     = terraform_data.phrase_matchers["europe-west1"].triggers_replace.definitions == sha256(join("", [filesha256("../../../seeds/phrase_matchers.csv"), filesha256("../../../seeds/phrase_matcher_rules.csv")]))
    error_message = "Keyed by the seeds."
  }
  assert {
    condition     = terraform_data.insights_settings["europe-west1"].triggers_replace.settings == sha256(jsonencode(yamldecode(file("../../insights_settings.yaml"))))
    error_message = "Keyed by the settings."
  }
}

run "each_region_gets_matchers_and_settings_and_the_sidecar_knows_them_all" {
  command = plan

  variables {
    regions = ["europe-west3", "acme-more/europe-west1"]
  }

  assert {
    condition     = toset(keys(terraform_data.phrase_matchers)) == toset(["europe-west1", "europe-west3", "acme-more/europe-west1"]) && keys(terraform_data.insights_settings) == keys(terraform_data.phrase_matchers)
    error_message = "An analysis finds phrases by the matchers of its own region."
  }
  assert {
    condition     = output.sidecar_environment.INGEST_REGIONS == "acme-more/europe-west1,europe-west1,europe-west3" && output.sidecar_environment.INGEST_LOCATION == "europe-west1"
    error_message = "BigQuery stays where it is."
  }
}

run "a_key_is_of_one_region" {
  command = plan

  variables {
    customer_managed_key = true
    regions              = ["europe-west3"]
  }

  expect_failures = [var.regions]
}

run "notifications_go_to_one_topic" {
  command = plan

  variables {
    insights_notifications = ["create-analysis", "upload-conversation"]
  }

  assert {
    condition     = local.insights_settings.notifications == { create-analysis = google_pubsub_topic.insights_events[0].id, upload-conversation = google_pubsub_topic.insights_events[0].id }
    error_message = "Settings name the topic for each event."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.insights_publishes[0].role == "roles/pubsub.publisher"
    error_message = "Insights publishes, and does nothing else there."
  }
}
