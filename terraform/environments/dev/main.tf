# Small and quick to throw away: old versions go after a week, deleted objects
# at once, tables may be dropped.

module "conversation_insights" {
  source = "../../modules/conversation_insights"

  environment    = "dev"
  project_id     = var.project_id
  project_number = var.project_number
  location       = var.location
  deployer       = var.deployer

  alerts            = length(var.alert_emails) == 0 ? null : { emails = var.alert_emails }
  analysts_group    = var.analysts_group
  budget            = var.budget
  cloud_jobs        = var.cloud_jobs
  operators         = var.operators
  pii_readers_group = var.pii_readers_group
  regions           = var.regions

  originals_readers_group = var.originals_readers_group
  redaction               = var.redaction

  deletion_protection = false
  retention = {
    landing_days     = 7
    noncurrent_days  = 7
    raw_days         = 90
    soft_delete_days = 0
    time_travel_days = 2
  }
}
