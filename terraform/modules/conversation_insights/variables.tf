variable "alerts" {
  description = "Thresholds of the alerts and who is told; null for no alerts. daily_cost_usd is of the analyses of 24 h at list price; null for no alert on it."
  type = object({
    emails            = list(string)
    backlog_age_hours = optional(number, 24)
    failure_percent   = optional(number, 5)
    freshness_hours   = optional(number, 23)
    insights_percent  = optional(number, 80)
    daily_cost_usd    = optional(number)
  })
  default = null

  validation {
    condition = var.alerts == null ? true : (
      length(var.alerts.emails) > 0 && var.alerts.freshness_hours >= 1 && var.alerts.freshness_hours <= 23
      && var.alerts.failure_percent > 0 && var.alerts.failure_percent < 100 && var.alerts.backlog_age_hours > 0
      && var.alerts.insights_percent > 0 && var.alerts.insights_percent < 100
    )
    error_message = "alerts needs an address, freshness_hours of 1 to 23 (Monitoring notices absence for at most 23.5 hours), failure_percent and insights_percent between 0 and 100 and backlog_age_hours above 0."
  }
}

variable "analysis_rule" {
  description = "Insights' own automatic analysis of a share of new conversations; null for none. The sidecar analyses every conversation it pushes, so a rule is for conversations that reach Insights by other ways, and each analysis is billed."
  type = object({
    analysis_percent    = number
    conversation_filter = optional(string, "")
  })
  default = null

  validation {
    condition     = try(var.analysis_rule.analysis_percent, 1) > 0 && try(var.analysis_rule.analysis_percent, 1) <= 100
    error_message = "analysis_rule.analysis_percent must be above 0 and at most 100; set analysis_rule to null for none."
  }
}

variable "analysts_group" {
  description = "Google group that may query the marts; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.analysts_group == null ? true : can(regex("^[^@:\\s]+@[^@:\\s]+\\.[^@:\\s]+$", var.analysts_group))
    error_message = "analysts_group must be a group's address, without \"group:\" before it."
  }
}

variable "audit_logs" {
  description = "Whether reads and writes of conversation data are written to the Data Access audit logs (billed by volume)."
  type        = bool
  default     = false
}

variable "budget" {
  description = "Monthly budget of the project, with mails at 50, 90 and 100 %; null for none."
  type = object({
    billing_account = string
    monthly_amount  = number
    currency_code   = optional(string, "USD")
  })
  default = null

  validation {
    condition = var.budget == null ? true : (
      can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
      && var.budget.monthly_amount >= 1 && floor(var.budget.monthly_amount) == var.budget.monthly_amount
    )
    error_message = "budget needs a billing account like 012345-6789AB-CDEF01 and a whole monthly amount of 1 or more."
  }
}

variable "cloud_jobs" {
  description = "Runs sidecar and dbt as Cloud Run jobs; null for neither jobs nor registry. Without an image only the registry is made, so that an image can be pushed to it first."
  type = object({
    image              = optional(string)
    sidecar_tasks      = optional(number, 4)
    daily_schedule     = optional(string, "0 5 * * *")
    drift_schedule     = optional(string, "0 6 * * 1")
    schedule_time_zone = optional(string, "Etc/UTC")
  })
  default = null

  validation {
    condition     = try(var.cloud_jobs.image, null) == null ? true : can(regex("^[^\\s@]+@sha256:[0-9a-f]{64}$", var.cloud_jobs.image))
    error_message = "cloud_jobs.image must be pinned by digest: REGISTRY/NAME@sha256:<64 hex digits>."
  }

  validation {
    condition     = try(var.cloud_jobs.sidecar_tasks, 1) >= 1 && try(var.cloud_jobs.sidecar_tasks, 1) <= 100
    error_message = "cloud_jobs.sidecar_tasks must be 1 to 100: tasks share Insights' quota of 300 analyses a minute."
  }
}

variable "customer_managed_key" {
  description = "Whether bucket, datasets and Insights are encrypted with a key of this project. Insights accepts a key only before it holds any data, and for good."
  type        = bool
  default     = false
}

variable "dataset_suffix" {
  description = "Ending of every dataset's name, for a project that holds more than one environment."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(_[a-z0-9]+)?$", var.dataset_suffix))
    error_message = "dataset_suffix must be empty or an underscore and lower-case letters or digits, for example _dev."
  }
}

variable "deletion_protection" {
  description = "Whether a plan that would delete or replace raw tables or jobs is refused."
  type        = bool
  default     = true
}

variable "deployer" {
  description = "Address of the service account that applies this module and so has to act as the job accounts; null when a person does."
  type        = string
  default     = null
}

variable "environment" {
  description = "Name of the environment; part of the bucket's and the accounts' names."
  type        = string

  validation {
    condition     = contains(["dev", "test", "prod"], var.environment)
    error_message = "environment must be dev, test or prod."
  }
}

variable "insights_agent_mode" {
  description = "Rights of Insights' service agent: \"scoped\" to the transcript folder and the export dataset, or the \"service_agent_role\" that Google grants by default, which reads every bucket and dataset of the project."
  type        = string
  default     = "scoped"

  validation {
    condition     = contains(["scoped", "service_agent_role"], var.insights_agent_mode)
    error_message = "insights_agent_mode must be scoped or service_agent_role."
  }
}

variable "insights_notifications" {
  description = "Insights events to publish to a Pub/Sub topic, by Insights' own names; empty for no topic."
  type        = set(string)
  default     = []

  validation {
    condition = length(setsubtract(var.insights_notifications, [
      "all-triggers", "create-analysis", "create-conversation", "export-insights-data",
      "ingest-conversations", "update-conversation", "upload-conversation",
    ])) == 0
    error_message = "insights_notifications may hold all-triggers, create-analysis, create-conversation, export-insights-data, ingest-conversations, update-conversation and upload-conversation."
  }
}

variable "labels" {
  description = "Further labels on everything that takes labels."
  type        = map(string)
  default     = {}
}

variable "location" {
  description = "Region of all data: bucket, datasets, key, Insights. A region where Insights runs."
  type        = string

  validation {
    condition = contains([
      "us-central1", "us-east1", "us-west1", "northamerica-northeast1",
      "europe-west1", "europe-west2", "europe-west3", "europe-west4", "europe-west6",
      "asia-northeast1", "asia-northeast3", "asia-south1", "asia-southeast1", "asia-southeast2",
      "australia-southeast1",
    ], var.location)
    error_message = "location must be a region where Conversational Insights runs, for example us-central1 or europe-west1."
  }
}

variable "operators" {
  description = "Who may act as the sidecar and as dbt, by tokens of an hour: members such as `user:ann@example.com` or `group:oncall@example.com`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount|principal|principalSet):.+$", member))])
    error_message = "operators are members with their kind, for example group:oncall@example.com."
  }
}

variable "originals_readers_group" {
  description = "Google group that may read conversations as they were handed in, where redaction is on; null for none."
  type        = string
  default     = null
}

variable "pii_readers_group" {
  description = "Google group that may read columns tagged as personal data, where it may read the table; null for none."
  type        = string
  default     = null
}

variable "pii_redaction" {
  description = "Whether Insights redacts names, addresses, numbers and the like from what is uploaded to it, with templates made here."
  type        = bool
  default     = false
}

variable "project_id" {
  description = "Project that holds this environment."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project id (6 to 30 lower-case letters, digits and hyphens), not a number or a name."
  }
}

variable "project_number" {
  description = "Number of the same project; names of Google's service agents are made of it."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{6,20}$", var.project_number))
    error_message = "project_number must be digits: see `gcloud projects describe PROJECT`."
  }
}

variable "redaction" {
  description = "before_insights: the sidecar redacts every conversation before it is sent, originals lie in a folder of their own, and day folders are handed in there (originals/<date>/); or off."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "before_insights"], var.redaction)
    error_message = "redaction must be off or before_insights."
  }

  validation {
    condition     = var.redaction == "off" || var.insights_agent_mode == "scoped"
    error_message = "redaction needs insights_agent_mode scoped: Google's own role of the agent reads every bucket, originals too."
  }
}

variable "regions" {
  description = "Further locations of Insights, or project/location, that conversations are spread over when one region's quota is too little. Transcripts are then kept in each of them."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.regions : can(regex("^([a-z][a-z0-9-]{4,28}[a-z0-9]/)?[a-z]+(-[a-z0-9]+)+$", region))])
    error_message = "regions must be locations such as \"us-east1\", or project/location."
  }
  validation {
    condition     = length(var.regions) == 0 || !var.customer_managed_key
    error_message = "regions can't go with customer_managed_key: the key and its encryption of Insights are of one location."
  }
}

variable "retention" {
  description = "How long data is kept. An object is gone for good after noncurrent_days + soft_delete_days; raw_days null keeps source files for ever; originals_days null means raw_days; insights_days is the limit of conversations that reach Insights from then on, null for that of insights_settings.yaml."
  type = object({
    insights_days    = optional(number)
    landing_days     = optional(number, 30)
    noncurrent_days  = optional(number, 30)
    originals_days   = optional(number)
    raw_days         = optional(number)
    soft_delete_days = optional(number, 7)
    time_travel_days = optional(number, 7)
  })
  default = {}

  validation {
    condition     = var.retention.soft_delete_days == 0 || (var.retention.soft_delete_days >= 7 && var.retention.soft_delete_days <= 90)
    error_message = "retention.soft_delete_days must be 0 (off) or 7 to 90."
  }

  validation {
    condition     = var.retention.time_travel_days >= 2 && var.retention.time_travel_days <= 7
    error_message = "retention.time_travel_days must be 2 to 7."
  }

  validation {
    condition = alltrue([
      for days in [var.retention.landing_days, var.retention.noncurrent_days, coalesce(var.retention.raw_days, 1), coalesce(var.retention.originals_days, 1), coalesce(var.retention.insights_days, 1)] : days >= 1
    ])
    error_message = "retention.landing_days, noncurrent_days, originals_days, insights_days and raw_days must be 1 or more."
  }
}

variable "saved_views" {
  description = "Saved filters in Insights' console: display name to filter."
  type        = map(string)
  default = {
    "Not analysed yet"       = "-latest_analysis:\"*\""
    "Collections, outbound"  = "labels.business_line=\"COLLECTIONS\" AND labels.direction=\"OUTBOUND\""
    "Longer than 20 minutes" = "duration>=\"1200s\""
  }
}
