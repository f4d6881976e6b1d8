# Insights takes a key once, before it holds anything in the location; the setting
# can't be changed or removed, and destroying this resource does nothing.

resource "google_contact_center_insights_encryption_spec" "conversations" {
  count = local.has_cmek ? 1 : 0

  project  = var.project_id
  location = var.location
  kms_key  = google_kms_crypto_key.conversations[0].id

  depends_on = [google_kms_crypto_key_iam_member.agents]
}
