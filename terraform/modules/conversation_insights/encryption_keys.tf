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
  key_id = one(google_kms_crypto_key.conversations[*].id)

  # Topics, workflow, registry and jobs hold no conversation, but names of days, the code and its
  # settings; with a key of one's own they are under it too.
  _key_services = local.has_cmek ? toset(concat(
    local.has_jobs || local.has_topic ? ["pubsub"] : [],
    local.has_jobs ? ["workflows"] : [],
    local.has_registry ? ["artifactregistry"] : [],
  )) : toset([])

  _key_users = local.has_cmek ? merge({
    storage  = data.google_storage_project_service_account.storage[0].member
    bigquery = data.google_bigquery_default_service_account.bigquery[0].member
    # Insights encrypts at rest as an agent of its own.
    insights = "serviceAccount:service-${var.project_number}@gcp-sa-ccai-cmek.iam.gserviceaccount.com"
    },
    { for service, agent in google_project_service_identity.key_users : service => agent.member },
    local.has_jobs ? { run = "serviceAccount:service-${var.project_number}@serverless-robot-prod.iam.gserviceaccount.com" } : {},
  ) : {}
}

resource "google_project_service_identity" "key_users" {
  provider = google-beta
  for_each = local._key_services

  project = var.project_id
  service = "${each.value}.googleapis.com"

  depends_on = [google_project_service.enabled]
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = local._key_users

  crypto_key_id = google_kms_crypto_key.conversations[0].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value

  depends_on = [terraform_data.agents_are_seen]
}
