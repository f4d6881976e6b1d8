"""Rules that any plan has to keep, whatever the resources are called.

`terraform test` states what there is; this states what must never be, also in what is added later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PUBLIC = {"allUsers", "allAuthenticatedUsers"}
_BASIC_ROLES = {"roles/owner", "roles/editor", "roles/viewer"}
_ACTING_ROLES = {
    *_BASIC_ROLES,
    "roles/iam.roleAdmin",
    "roles/iam.securityAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountKeyAdmin",
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountUser",
    "roles/iam.workloadIdentityPoolAdmin",
}
_ACTING = re.compile(
    r"iam\.serviceAccounts\.(actAs|get(AccessToken|OpenIdToken)|implicitDelegation|setIamPolicy"
    r"|sign(Blob|Jwt))|iam\.serviceAccountKeys\.create|iam\.roles\.(create|update)"
    r"|iam\.workloadIdentityPool.*"
)
_FORBIDDEN_TYPES = re.compile(r"google_service_account_key|google_\w+_iam_(policy|binding)")


def resources(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every resource that the plan would have, with its planned values."""
    modules = [plan["planned_values"]["root_module"]]
    while modules:
        module = modules.pop()
        yield from module.get("resources", [])
        modules.extend(module.get("child_modules", []))


def faults(plan: dict[str, Any], project_roles: set[str]) -> list[str]:
    """Return what the plan breaks; `project_roles` are those that may be granted on the project."""
    found: list[str] = []
    for resource in resources(plan):
        found += [f"{resource['address']}: {fault}" for fault in _faults(resource, project_roles)]
    return found


def _faults(resource: dict[str, Any], project_roles: set[str]) -> Iterator[str]:
    kind, values = resource["type"], resource["values"]
    role = str(values.get("role", ""))
    if _FORBIDDEN_TYPES.fullmatch(kind):
        yield "keys of accounts and grants that replace those of others are never made"
    if values.get("member") in _PUBLIC:
        yield "grants the public"
    if role in _BASIC_ROLES or role.endswith(("admin", "Admin", "Owner")):
        yield f"{role} is wider than a job needs"
    if kind == "google_project_iam_member" and role not in project_roles:
        yield f"{role} isn't among the roles that the deployer may grant on the project"
    if kind == "google_storage_bucket" and values.get("public_access_prevention") != "enforced":
        yield "public access isn't prevented"


def grantable_roles(bootstrap_plan: dict[str, Any]) -> set[str]:
    """Return the project roles that the deployer may grant, from the condition of its own grant."""
    for resource in resources(bootstrap_plan):
        if resource["address"] == "google_project_iam_member.deployer_grants":
            expression = resource["values"]["condition"][0]["expression"]
            return set(re.findall(r"'(roles/[\w.]+)'", expression))
    raise AssertionError("bootstrap no longer grants the deployer a conditioned projectIamAdmin")


def ways_to_other_accounts(bootstrap_plan: dict[str, Any]) -> list[str]:
    """Return what lets the deployer act as any account of the project, or give itself that."""
    found = []
    for resource in resources(bootstrap_plan):
        address, values = resource["address"], resource["values"]
        if address.startswith("google_project_iam_member.deployer["):
            found += [values["role"]] if values["role"] in _ACTING_ROLES else []
        if resource["type"] == "google_project_iam_custom_role":
            acting = [name for name in values["permissions"] if _ACTING.fullmatch(name)]
            found += [f"{values['role_id']}: {name}" for name in acting]
    return found


def stated_grantable_roles(repository: Path) -> set[str]:
    """Return the same from the configuration's text, without a plan."""
    source = repository / "terraform" / "bootstrap" / "deployer_permissions.tf"
    _, _, after = source.read_text(encoding="utf-8").partition("_grantable_roles = [")
    return set(re.findall(r'"(roles/[\w.]+)"', after.partition("]")[0]))


def services(plan: dict[str, Any]) -> set[str]:
    """Return the APIs that the plan switches on."""
    return {
        resource["values"]["service"]
        for resource in resources(plan)
        if resource["type"] == "google_project_service"
    }


def unprotected(plan: dict[str, Any]) -> list[str]:
    """Return what a later plan could delete although it has a protection to switch on."""
    return [
        resource["address"]
        for resource in resources(plan)
        if resource["values"].get("deletion_protection", True) is not True
    ]
