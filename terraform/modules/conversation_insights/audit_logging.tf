# Who read and wrote which conversation, who became which account, and who used the key. Reads of
# BigQuery data are always logged; these services log data access only when asked to.

resource "google_project_iam_audit_config" "conversation_data" {
  for_each = var.audit_logs ? toset(concat(
    ["contactcenterinsights.googleapis.com", "iam.googleapis.com", "storage.googleapis.com"],
    local.has_cmek ? ["cloudkms.googleapis.com"] : [],
  )) : []

  project = var.project_id
  service = each.value

  audit_log_config {
    log_type = "DATA_READ"
  }

  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
