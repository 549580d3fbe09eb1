"""What may be chosen in a form today: users, projects, activities (docs/kimai.md §3)."""

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.model import Activity, Customer, Project, User

INVALID_CHOICE = "The selected choice is invalid."


def selectable_user(caller: Caller, user_id: int, current: int | None) -> User | None:
    """An enabled user, not a system account, whom the caller may act for; the current owner stays selectable."""
    user = caller.kimai.users.get(user_id)
    if user is None or user_id == current:
        return user
    if not user.enabled or (user.system_account and user_id != caller.user.id):
        return None
    reachable = caller.sees_all or user_id == caller.user.id or user_id in caller.led_members()
    return user if reachable else None


def selectable_customer(caller: Caller, customer_id: int, current: int | None) -> Customer | None:
    """A visible customer no foreign team owns."""
    customer = caller.kimai.customers.get(customer_id)
    if customer is None or customer_id == current:
        return customer
    return customer if customer.visible and caller.sees_customer(customer) else None


def selectable_project(caller: Caller, project_id: int, current: int | None) -> Project | None:
    """A visible project of a visible customer whose period contains the present moment.

    The period is compared with now and not with the entry, whatever the role; the entry's present project stays
    selectable.
    """
    project = caller.kimai.projects.get(project_id)
    if project is None or project_id == current:
        return project
    shown = project.visible and caller.kimai.customer_of(project).visible
    running = project.runs_at(caller.kimai.now())
    return project if shown and running and caller.sees_project(project) else None


def selectable_activity(
    caller: Caller, activity_id: int, project: Project | None, current: int | None
) -> Activity | None:
    """A visible activity of the project, or a global one unless the project forbids them."""
    activity = caller.kimai.activities.get(activity_id)
    if activity is None or activity_id == current:
        return activity
    if activity.project is None:
        fits = project is None or project.global_activities
    else:
        fits = project is not None and activity.project == project.id
    return activity if fits and activity.visible and caller.sees_activity(activity) else None
