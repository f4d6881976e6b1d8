variable "alert_emails" {
  description = "Who is told by the alerts; empty for no alerts."
  type        = list(string)
  default     = []
}

variable "analysts_group" {
  description = "Google group that may query the marts; null for none."
  type        = string
  default     = null
}

variable "budget" {
  description = "Billing account and monthly amount of the budget; null for none."
  type = object({
    billing_account = string
    monthly_amount  = number
    currency_code   = optional(string, "USD")
  })
  default = null
}

variable "cloud_jobs" {
  description = "Sidecar and dbt as Cloud Run jobs; null for none."
  type = object({
    image              = optional(string)
    sidecar_tasks      = optional(number, 4)
    daily_schedule     = optional(string, "0 5 * * *")
    drift_schedule     = optional(string, "0 6 * * 1")
    schedule_time_zone = optional(string, "Etc/UTC")
  })
  default = null
}

variable "deployer" {
  description = "Account that applies this root (bootstrap's output); null when a person does."
  type        = string
  default     = null
}

variable "location" {
  description = "Region of all data."
  type        = string
  default     = "us-central1"
}

variable "operators" {
  description = "Who may act as the sidecar and as dbt, for example [\"group:oncall@example.com\"]."
  type        = list(string)
  default     = []
}

variable "originals_readers_group" {
  description = "Google group that may read conversations as they were handed in; null for none."
  type        = string
  default     = null
}

variable "pii_readers_group" {
  description = "Google group that may read personal data; null for none."
  type        = string
  default     = null
}

variable "project_id" {
  description = "Project of this environment."
  type        = string
}

variable "project_number" {
  description = "Number of the same project."
  type        = string
}

variable "redaction" {
  description = "Whether conversations are redacted before they are sent: off or before_insights."
  type        = string
  default     = "off"
}

variable "regions" {
  description = "Further locations of Insights, or project/location, that conversations are spread over."
  type        = list(string)
  default     = []
}
