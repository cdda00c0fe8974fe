"""Builds the services for tasks, projects, models and users from shared `bll` objects."""

from __future__ import annotations

from apiserver.bll.registry.directory import TaskDirectory
from apiserver.bll.registry.entity_counts import EntityCounts
from apiserver.bll.registry.filter_values import FilterValues
from apiserver.bll.registry.last_metrics import LastMetricsReader
from apiserver.bll.registry.models import Models
from apiserver.bll.registry.paging import DocumentPages
from apiserver.bll.registry.pipeline_runs import PipelineRuns
from apiserver.bll.registry.project_list import ProjectList
from apiserver.bll.registry.project_removal import ProjectRemoval
from apiserver.bll.registry.project_stats import ProjectStats
from apiserver.bll.registry.project_views import ProjectViews
from apiserver.bll.registry.projects import Projects
from apiserver.bll.registry.records import Records
from apiserver.bll.registry.stored_views import StoredViews
from apiserver.bll.registry.task_clone import TaskClone
from apiserver.bll.registry.task_removal import TaskFiles, TaskRemoval
from apiserver.bll.registry.task_runs import TaskRuns
from apiserver.bll.registry.tasks import Tasks
from apiserver.bll.registry.users import Users
from apiserver.services.empty import ServingService, StorageService
from apiserver.services.models import ModelsService
from apiserver.services.organization import OrganizationService
from apiserver.services.pipelines import PipelinesService
from apiserver.services.projects import ProjectsService
from apiserver.services.queues import QueuesService
from apiserver.services.reports import ReportsService
from apiserver.services.tasks import TasksService
from apiserver.services.tasks_status import TasksStatusService
from apiserver.services.users import UsersService
from apiserver.services.workers import WorkersService
from apiserver.settings import EventsSettings
from apiserver.stores.base import EventStore
from apiserver.stores.registry import Registry
from apiserver.stores.state import State


def registry_services(
    registry: Registry,
    events: EventStore,
    state: State,
    directory: TaskDirectory,
    users: Users,
    files: TaskFiles | None,
    settings: EventsSettings,
) -> list[object]:
    """All services that use the registry. `files` deletes a task's files; None without a file server."""
    records = Records(registry)
    pages = DocumentPages(registry, state, settings.state_expiration)
    projects = Projects(records)
    last_metrics = LastMetricsReader(events, settings.max_list_series)
    tasks = Tasks(records, last_metrics, pages, projects)
    runs = TaskRuns(records)
    removal = TaskRemoval(records, events, directory, files)
    filter_values = FilterValues(records, events, projects)
    models = Models(records, events, last_metrics, pages, projects, removal, runs)
    listed = ProjectList(records, pages, projects, ProjectStats(records))
    return [
        TasksService(tasks, TaskClone(records, tasks, projects), filter_values),
        TasksStatusService(tasks, runs, removal),
        ProjectsService(
            projects,
            listed,
            ProjectViews(records),
            ProjectRemoval(records, projects, removal),
            filter_values,
        ),
        ModelsService(models),
        UsersService(users, filter_values),
        OrganizationService(filter_values, EntityCounts(records, tasks, models, listed), users, StoredViews(registry)),
        QueuesService(),
        WorkersService(),
        ServingService(),
        StorageService(),
        ReportsService(tasks, filter_values),
        PipelinesService(PipelineRuns(records), removal),
    ]
