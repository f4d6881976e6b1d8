mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "google-beta" {}


variables {
  environment    = "dev"
  location       = "europe-west1"
  project_id     = "acme-coach"
  project_number = "123456789012"

  cloud_jobs = {
    image         = "europe-west1-docker.pkg.dev/acme-coach/conversation-coach-dev/ingest@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    sidecar_tasks = 8
  }
}

run "jobs_run_one_image_with_the_settings_of_the_environment" {
  command = plan

  assert {
    condition = jsonencode({ for name, job in google_cloud_run_v2_job.jobs : name => concat(job.template[0].template[0].containers[0].command, job.template[0].template[0].containers[0].args) }) == jsonencode({
      dbt     = ["ingest", "build", "--wait", "--target", "bigquery"]
      drift   = ["ingest", "matchers", "plan", "--exit-code"]
      health  = ["ingest", "health", "--json"]
      sidecar = ["ingest", "doctor"]
    })
    error_message = "What each job runs."
  }
  assert {
    condition     = alltrue([for job in google_cloud_run_v2_job.jobs : endswith(job.template[0].template[0].containers[0].image, "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")])
    error_message = "The image is pinned by digest."
  }
  assert {
    condition = alltrue([
      for job in google_cloud_run_v2_job.jobs :
      { for env in job.template[0].template[0].containers[0].env : env.name => env.value } == merge(output.sidecar_environment, { INGEST_LOG_FORMAT = "json" })
    ])
    error_message = "The same settings as on a laptop."
  }
}

run "a_marker_starts_the_workflow_once_a_date" {
  command = plan

  assert {
    condition = (
      google_storage_notification.ready[0].object_name_prefix == "_ready/"
      && google_storage_notification.ready[0].event_types == toset(["OBJECT_FINALIZE"])
    )
    error_message = "Only markers are told of, not each file of a folder."
  }
  assert {
    condition     = { for criterion in google_eventarc_trigger.ready[0].matching_criteria : criterion.attribute => criterion.value } == { type = "google.cloud.pubsub.topic.v1.messagePublished" }
    error_message = "The trigger listens to the topic."
  }
  assert {
    condition     = google_eventarc_trigger.ready[0].destination[0].workflow == google_workflows_workflow.process_date[0].id
    error_message = "And starts the workflow."
  }
  assert {
    condition     = google_workflows_workflow.process_date[0].user_env_vars == tomap({ BUCKET = "acme-coach-cc-dev", DBT_JOB = "coach-dbt-dev", READY_PREFIX = "_ready/", SIDECAR_JOB = "coach-sidecar-dev", SIDECAR_TASKS = "8", SOURCE_PREFIX = "", TIME_ZONE = "Etc/UTC" })
    error_message = "The workflow knows its jobs and how many tasks share a folder."
  }
}

run "the_clock_starts_three_things" {
  command = plan

  assert {
    condition     = { for name, job in google_cloud_scheduler_job.schedules : name => job.schedule } == { process-date = "0 5 * * *", drift = "0 6 * * 1", health = "0 * * * *" }
    error_message = "Daily catch-up, weekly drift check, hourly health."
  }
  assert {
    condition     = google_cloud_scheduler_job.schedules["drift"].http_target[0].uri == "https://run.googleapis.com/v2/projects/acme-coach/locations/europe-west1/jobs/coach-drift-dev:run"
    error_message = "The address that runs the job."
  }
  assert {
    condition     = jsondecode(base64decode(google_cloud_scheduler_job.schedules["process-date"].http_target[0].body)) == { argument = "{}" }
    error_message = "Without a date: yesterday's folder."
  }
}

run "before_the_image_there_is_a_registry_only" {
  command = plan

  variables {
    cloud_jobs = {}
  }

  assert {
    condition     = output.image_repository != null && google_artifact_registry_repository.images[0].docker_config[0].immutable_tags == true
    error_message = "The first image needs a place to be pushed to."
  }
  assert {
    condition     = length(google_cloud_run_v2_job.jobs) == 0 && length(google_workflows_workflow.process_date) == 0 && length(google_service_account.scheduler) == 0
    error_message = "No jobs without an image."
  }
}

run "off_means_nothing_of_the_kind" {
  command = plan

  variables {
    cloud_jobs = null
  }

  assert {
    condition = (
      length(google_artifact_registry_repository.images) == 0
      && length(google_cloud_run_v2_job.jobs) == 0
      && length(google_cloud_scheduler_job.schedules) == 0
      && length(google_eventarc_trigger.ready) == 0
      && !contains(keys(google_project_service.enabled), "run.googleapis.com")
      && output.image_repository == null
    )
    error_message = "Off is the default."
  }
}
