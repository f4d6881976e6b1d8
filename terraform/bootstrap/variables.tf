variable "customer_managed_key" {
  description = "Whether a key of this project's own encrypts the state."
  type        = bool
  default     = false
}

variable "git_ref" {
  description = "Ref whose pipeline may deploy, for example refs/heads/main."
  type        = string
  default     = "refs/heads/main"

  validation {
    condition     = can(regex("^refs/(heads|tags)/[A-Za-z0-9._/-]+$", var.git_ref))
    error_message = "git_ref must be a whole ref, for example refs/heads/main."
  }
}

variable "git_repository_id" {
  description = "Numeric id of the repository whose pipeline may deploy: a name can be taken over after a deletion, a number can't. Null for deploying by hand only."
  type        = string
  default     = null

  validation {
    condition     = var.git_repository_id == null ? true : can(regex("^[0-9]+$", var.git_repository_id))
    error_message = "git_repository_id must be the numeric id, not the name."
  }
}

variable "location" {
  description = "Region of the state bucket."
  type        = string
}

variable "oidc_issuer" {
  description = "Issuer of the pipeline's identity tokens."
  type        = string
  default     = "https://token.actions.githubusercontent.com"

  validation {
    condition     = startswith(var.oidc_issuer, "https://")
    error_message = "oidc_issuer must be an https address."
  }
}

variable "project_id" {
  description = "Project to prepare."
  type        = string
}
