# Terraform's state of every root. State holds what resources hold: treat it
# as sensitive, give it to the deployer alone.

resource "google_storage_bucket" "state" {
  #checkov:skip=CKV_GCP_62:reads and writes of state are in the audit logs
  project  = var.project_id
  name     = "${var.project_id}-terraform-state"
  location = var.location

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  # State names every resource and holds settings: under a key of one's own where one is wanted.
  dynamic "encryption" {
    for_each = google_kms_crypto_key.state

    content {
      default_kms_key_name = encryption.value.id
    }
  }

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 50
      with_state         = "ARCHIVED"
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_kms_crypto_key_iam_member.storage, terraform_data.services_are_seen]
}

resource "google_kms_key_ring" "state" {
  count = var.customer_managed_key ? 1 : 0

  project  = var.project_id
  name     = "coach-terraform-state"
  location = var.location

  depends_on = [terraform_data.services_are_seen]
}

resource "google_kms_crypto_key" "state" {
  count = var.customer_managed_key ? 1 : 0

  name            = "state"
  key_ring        = google_kms_key_ring.state[0].id
  rotation_period = "7776000s"

  lifecycle {
    prevent_destroy = true
  }
}

data "google_storage_project_service_account" "storage" {
  count = var.customer_managed_key ? 1 : 0

  project    = var.project_id
  depends_on = [terraform_data.services_are_seen]
}

resource "google_kms_crypto_key_iam_member" "storage" {
  count = var.customer_managed_key ? 1 : 0

  crypto_key_id = google_kms_crypto_key.state[0].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = data.google_storage_project_service_account.storage[0].member
}

resource "google_storage_bucket_iam_member" "deployer_state" {
  bucket = google_storage_bucket.state.name
  role   = "roles/storage.objectUser"
  member = google_service_account.deployer.member
}
