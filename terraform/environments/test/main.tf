# As production, with a shorter memory: what is proven here is what is applied
# there.

module "conversation_insights" {
  source = "../../modules/conversation_insights"

  environment    = "test"
  project_id     = var.project_id
  project_number = var.project_number
  location       = var.location
  deployer       = var.deployer

  alerts            = length(var.alert_emails) == 0 ? null : { emails = var.alert_emails }
  analysts_group    = var.analysts_group
  audit_logs        = true
  budget            = var.budget
  cloud_jobs        = var.cloud_jobs
  operators         = var.operators
  pii_readers_group = var.pii_readers_group
  regions           = var.regions

  originals_readers_group = var.originals_readers_group
  redaction               = var.redaction

  customer_managed_key = true
  deletion_protection  = true
  retention = {
    landing_days    = 14
    noncurrent_days = 14
    raw_days        = 180
  }
}
