terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 8.0, < 9.0"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = ">= 8.0, < 9.0"
    }
  }
}

locals {
  # Insights answers at a host of its own in every region but us-central1; the
  # provider goes there only when told.
  _insights_endpoint = var.location == "us-central1" ? null : "https://${var.location}-contactcenterinsights.googleapis.com/v1/"
}

provider "google" {
  project                                 = var.project_id
  region                                  = var.location
  contact_center_insights_custom_endpoint = local._insights_endpoint

  # People's own credentials have no project that calls are counted for.
  billing_project       = var.project_id
  user_project_override = true
}

provider "google-beta" {
  project                                 = var.project_id
  region                                  = var.location
  contact_center_insights_custom_endpoint = local._insights_endpoint

  # People's own credentials have no project that calls are counted for.
  billing_project       = var.project_id
  user_project_override = true
}
