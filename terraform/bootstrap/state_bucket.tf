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

  depends_on = [terraform_data.services_are_seen]
}

resource "google_storage_bucket_iam_member" "deployer_state" {
  bucket = google_storage_bucket.state.name
  role   = "roles/storage.objectUser"
  member = google_service_account.deployer.member
}
