# One key for all data of the environment, made only on request.

resource "google_kms_key_ring" "conversations" {
  count = local.has_cmek ? 1 : 0

  project  = var.project_id
  name     = "coach-${var.environment}"
  location = var.location

  depends_on = [google_project_service.enabled]
}

resource "google_kms_crypto_key" "conversations" {
  count = local.has_cmek ? 1 : 0

  name            = "conversations"
  key_ring        = google_kms_key_ring.conversations[0].id
  rotation_period = "7776000s"
  labels          = local.labels

  # Losing the key is losing every conversation.
  lifecycle {
    prevent_destroy = true
  }
}

locals {
  _key_users = local.has_cmek ? {
    storage  = data.google_storage_project_service_account.storage[0].member
    bigquery = data.google_bigquery_default_service_account.bigquery[0].member
    # Insights encrypts at rest as an agent of its own.
    insights = "serviceAccount:service-${var.project_number}@gcp-sa-ccai-cmek.iam.gserviceaccount.com"
  } : {}
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = local._key_users

  crypto_key_id = google_kms_crypto_key.conversations[0].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value

  depends_on = [terraform_data.agents_are_seen]
}
