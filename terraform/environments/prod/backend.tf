terraform {
  # The bucket is given at init: -backend-config=bucket=…
  backend "gcs" {
    prefix = "conversation-coach/prod"
  }
}
