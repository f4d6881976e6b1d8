# Analysis that Insights starts by itself, and filters saved for its console.

resource "google_contact_center_insights_analysis_rule" "automatic" {
  count = var.analysis_rule == null ? 0 : 1

  project             = var.project_id
  location            = var.location
  display_name        = "Conversation coach: automatic analysis"
  active              = true
  analysis_percentage = var.analysis_rule.analysis_percent / 100
  conversation_filter = var.analysis_rule.conversation_filter

  # The profile of the sidecar. No matchers named means all active ones.
  annotator_selector {
    run_sentiment_annotator      = true
    run_entity_annotator         = true
    run_intent_annotator         = true
    run_phrase_matcher_annotator = true
    run_interruption_annotator   = false
    run_silence_annotator        = false
    run_issue_model_annotator    = false
    run_qa_annotator             = false
    run_summarization_annotator  = false
  }

  lifecycle {
    precondition {
      condition     = try(local._settings_file.analysis.upload_percentage, 0) == 0
      error_message = "Insights refuses settings with an upload_percentage while an analysis rule is active: use one of the two."
    }
  }

  depends_on = [
    google_contact_center_insights_encryption_spec.conversations,
    google_project_service.enabled,
  ]
}

resource "google_contact_center_insights_view" "saved" {
  for_each = var.saved_views

  project      = var.project_id
  location     = var.location
  display_name = each.key
  value        = each.value

  depends_on = [
    google_contact_center_insights_encryption_spec.conversations,
    google_project_service.enabled,
  ]
}
