mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "google-beta" {}


override_resource {
  target          = google_service_account.sidecar
  override_during = plan
  values = {
    email  = "sidecar@acme-coach.iam.gserviceaccount.com"
    member = "serviceAccount:sidecar@acme-coach.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = google_service_account.dbt
  override_during = plan
  values = {
    email  = "dbt@acme-coach.iam.gserviceaccount.com"
    member = "serviceAccount:dbt@acme-coach.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = google_service_account.scheduler
  override_during = plan
  values = {
    email  = "scheduler@acme-coach.iam.gserviceaccount.com"
    member = "serviceAccount:scheduler@acme-coach.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = google_project_service_identity.insights
  override_during = plan
  values = {
    member = "serviceAccount:insights-agent"
  }
}


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

# Every project-wide grant there is, by principal: a new one has to be added
# here, and so to be thought about.
run "project_wide_grants_are_these_and_no_more" {
  command = plan

  variables {
    analysts_group = "analysts@acme.example"
  }

  assert {
    condition = toset([for grant in google_project_iam_member.bigquery_jobs : "${grant.member} ${grant.role}"]) == toset([
      "serviceAccount:sidecar@acme-coach.iam.gserviceaccount.com roles/bigquery.jobUser",
      "serviceAccount:dbt@acme-coach.iam.gserviceaccount.com roles/bigquery.jobUser",
      "group:analysts@acme.example roles/bigquery.jobUser",
    ])
    error_message = "Running BigQuery jobs is the one project-wide right that all three need."
  }
  assert {
    condition     = google_project_iam_member.sidecar_insights.role == "roles/contactcenterinsights.editor" && google_project_iam_member.sidecar_insights.member == "serviceAccount:sidecar@acme-coach.iam.gserviceaccount.com"
    error_message = "The sidecar edits Insights; it isn't its admin."
  }
  assert {
    condition = toset([for grant in google_project_iam_member.scheduler : "${grant.member} ${grant.role}"]) == toset([
      for role in ["eventarc.eventReceiver", "logging.logWriter", "run.viewer", "workflows.invoker"] :
      "serviceAccount:scheduler@acme-coach.iam.gserviceaccount.com roles/${role}"
    ])
    error_message = "The scheduler starts things and sees no data."
  }
  assert {
    condition     = length(google_project_iam_member.insights_agent_role) == 0 && length(google_project_iam_member.insights_redacts) == 0
    error_message = "Insights' agent has no wide role in scoped mode."
  }
}

run "datasets_are_granted_one_by_one" {
  command = plan

  variables {
    analysts_group = "analysts@acme.example"
  }

  assert {
    condition = toset([for grant in google_bigquery_dataset_iam_member.granted : "${grant.dataset_id} ${grant.role} ${grant.member}"]) == toset([
      "coach_raw roles/bigquery.dataViewer serviceAccount:dbt@acme-coach.iam.gserviceaccount.com",
      "coach_staging roles/bigquery.dataEditor serviceAccount:dbt@acme-coach.iam.gserviceaccount.com",
      "coach roles/bigquery.dataEditor serviceAccount:dbt@acme-coach.iam.gserviceaccount.com",
      "coach_staging projects/acme-coach/roles/coach_policy_tag_setter serviceAccount:dbt@acme-coach.iam.gserviceaccount.com",
      "coach projects/acme-coach/roles/coach_policy_tag_setter serviceAccount:dbt@acme-coach.iam.gserviceaccount.com",
      "coach_raw roles/bigquery.metadataViewer serviceAccount:sidecar@acme-coach.iam.gserviceaccount.com",
      "coach roles/bigquery.dataViewer serviceAccount:sidecar@acme-coach.iam.gserviceaccount.com",
      "coach roles/bigquery.dataViewer group:analysts@acme.example",
    ])
    error_message = "Nobody but dbt reads all of raw, and Insights has no dataset."
  }
  assert {
    condition = alltrue([
      for dataset in concat([google_bigquery_dataset.raw], values(google_bigquery_dataset.dbt)) :
      [for entry in dataset.access : "${entry.role} ${entry.special_group}"] == ["OWNER projectOwners"]
    ])
    error_message = "Readers and writers of the project have nothing by default."
  }
  assert {
    condition = (
      google_bigquery_dataset_access.marts_read_staging.dataset_id == "coach_staging"
      && one(google_bigquery_dataset_access.marts_read_staging.dataset).dataset[0].dataset_id == "coach"
      && one(google_bigquery_dataset_access.marts_read_staging.dataset).target_types == tolist(["VIEWS"])
    )
    error_message = "Views of marts read staging for whoever may read marts."
  }
  assert {
    condition = alltrue([
      for table, grant in google_bigquery_table_iam_member.sidecar_loads :
      grant.table_id == table && grant.role == "roles/bigquery.dataEditor" && grant.member == "serviceAccount:sidecar@acme-coach.iam.gserviceaccount.com"
    ]) && toset(keys(google_bigquery_table_iam_member.sidecar_loads)) == toset(keys(google_bigquery_table.raw))
    error_message = "The sidecar loads into the raw tables and can make none."
  }
}

run "ci_reads_transcripts_and_never_the_day_folders" {
  command = plan

  assert {
    condition     = google_storage_managed_folder_iam_member.insights_transcripts[0].managed_folder == "ci-transcripts/" && google_storage_managed_folder_iam_member.insights_transcripts[0].role == "roles/storage.objectViewer"
    error_message = "Insights' agent reads one folder."
  }
  assert {
    condition     = google_storage_bucket_iam_member.sidecar_objects.member == "serviceAccount:sidecar@acme-coach.iam.gserviceaccount.com" && google_storage_bucket_iam_member.sidecar_objects.role == "roles/storage.objectUser"
    error_message = "The only grant on the objects of the whole bucket is the sidecar's."
  }
  assert {
    condition     = google_storage_managed_folder_iam_member.dbt_leases.managed_folder == "_runs/" && google_storage_managed_folder_iam_member.dbt_leases.member == "serviceAccount:dbt@acme-coach.iam.gserviceaccount.com"
    error_message = "dbt writes its lease, and nothing else in the bucket."
  }
  assert {
    condition     = google_storage_bucket_iam_member.scheduler_lists[0].role == "roles/storage.legacyBucketReader" && google_storage_bucket_iam_member.scheduler_lists[0].member == "serviceAccount:scheduler@acme-coach.iam.gserviceaccount.com"
    error_message = "The workflow sees names of objects and reads none."
  }
}

run "the_wide_agent_role_replaces_the_narrow_grants" {
  command = plan

  variables {
    insights_agent_mode = "service_agent_role"
    pii_redaction       = true
  }

  assert {
    condition     = google_project_iam_member.insights_agent_role[0].role == "roles/contactcenterinsights.serviceAgent"
    error_message = "The documented fallback."
  }
  assert {
    condition = (
      length(google_storage_managed_folder_iam_member.insights_transcripts) == 0
      && length(google_project_iam_member.insights_redacts) == 0
    )
    error_message = "One way or the other, not both."
  }
}

run "personal_data_is_read_by_jobs_and_one_group" {
  command = plan

  variables {
    pii_readers_group = "dpo@acme.example"
  }

  assert {
    condition = { for name, grant in google_data_catalog_policy_tag_iam_member.readers : name => "${grant.role} ${grant.member}" } == {
      sidecar = "roles/datacatalog.categoryFineGrainedReader serviceAccount:sidecar@acme-coach.iam.gserviceaccount.com"
      dbt     = "roles/datacatalog.categoryFineGrainedReader serviceAccount:dbt@acme-coach.iam.gserviceaccount.com"
      people  = "roles/datacatalog.categoryFineGrainedReader group:dpo@acme.example"
    }
    error_message = "Reading the tag is granted by name."
  }
}

run "operators_act_as_sidecar_and_dbt" {
  command = plan

  variables {
    operators = ["group:oncall@acme.example"]
  }

  assert {
    condition = { for name, grant in google_service_account_iam_member.operators_act_as : name => "${grant.role} ${grant.member}" } == {
      for job in ["sidecar", "dbt"] : "group:oncall@acme.example as ${job}" => "roles/iam.serviceAccountTokenCreator group:oncall@acme.example"
    }
    error_message = "Acting as a job is granted by name, and never as the scheduler."
  }
}

run "the_deployer_acts_as_three_accounts_only" {
  command = plan

  variables {
    deployer = "deployer@acme-coach.iam.gserviceaccount.com"
  }

  assert {
    condition     = toset(keys(google_service_account_iam_member.deployer_acts_as)) == toset(["sidecar", "dbt", "scheduler"])
    error_message = "Never for the whole project."
  }
  assert {
    condition     = alltrue([for grant in google_service_account_iam_member.deployer_acts_as : grant.role == "roles/iam.serviceAccountUser"])
    error_message = "Acting as, not making tokens."
  }
}

run "jobs_are_started_by_the_scheduler_alone" {
  command = plan

  assert {
    condition = { for name, grant in google_cloud_run_v2_job_iam_member.started_by_scheduler : name => "${grant.role} ${grant.member}" } == {
      for name in ["dbt", "drift", "health", "sidecar"] : name => join(" ", [
        name == "sidecar" ? "roles/run.jobsExecutorWithOverrides" : "roles/run.jobsExecutor",
        "serviceAccount:scheduler@acme-coach.iam.gserviceaccount.com",
      ])
    }
    error_message = "Arguments may be given to the sidecar only."
  }
  assert {
    condition = { for name, job in google_cloud_run_v2_job.jobs : name => job.template[0].template[0].service_account } == {
      dbt     = "dbt@acme-coach.iam.gserviceaccount.com"
      drift   = "sidecar@acme-coach.iam.gserviceaccount.com"
      health  = "sidecar@acme-coach.iam.gserviceaccount.com"
      sidecar = "sidecar@acme-coach.iam.gserviceaccount.com"
    }
    error_message = "No job runs as the default account."
  }
}
