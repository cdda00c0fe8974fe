"""The events service: its handlers, one class per group, over one set of `bll` objects."""

from __future__ import annotations

from apiserver.bll.events.answer_size import bounded
from apiserver.bll.events.charts import ChartLimits, Charts
from apiserver.bll.events.deletion import Deletion
from apiserver.bll.events.image_index import ImageIndex
from apiserver.bll.events.image_samples import ImageSamples
from apiserver.bll.events.images import Images
from apiserver.bll.events.ingest import Ingest
from apiserver.bll.events.latest import Latest
from apiserver.bll.events.listing import Listing
from apiserver.bll.events.log_download import LogDownload
from apiserver.bll.events.log_overview import LogOverviews
from apiserver.bll.events.log_search import LogSearch
from apiserver.bll.events.logs import Logs
from apiserver.bll.events.navigation import Navigation
from apiserver.bll.events.pages import EventPages
from apiserver.bll.events.plot_samples import PlotSamples
from apiserver.bll.events.plots import Plots
from apiserver.bll.events.rewinding import Rewinding
from apiserver.bll.events.scrolls import Scrolls
from apiserver.bll.events.series_charts import SeriesCharts
from apiserver.bll.events.storage import TaskStorage
from apiserver.bll.events.thumbnails import ChartThumbnails
from apiserver.bll.events.vectors import Vectors
from apiserver.bll.registry.directory import TaskDirectory
from apiserver.services.event_owners import EventOwners
from apiserver.services.events_images import EventsImagesService
from apiserver.services.events_listing import EventsListingService
from apiserver.services.events_logs import EventsLogsService
from apiserver.services.events_plots import EventsPlotsService
from apiserver.services.events_scalars import EventsScalarsService
from apiserver.services.events_series import EventsSeriesService
from apiserver.services.events_write import EventsWriteService
from apiserver.settings import EventsSettings
from apiserver.stores.base import EventStore
from apiserver.stores.state import State


def event_services(events: EventStore, directory: TaskDirectory, state: State, ingest: Ingest, settings: EventsSettings) -> list[object]:
    """Every class of handlers of events.*."""
    owners = EventOwners(directory)
    ttl = settings.state_expiration
    store, events = events, bounded(events, settings.max_answer_bytes, settings.max_list_series)
    scrolls = Scrolls(state, ttl)
    listing = Listing(events)
    pages = EventPages(events, scrolls, settings.raw_size_cap)
    navigation = Navigation(events, state, ttl)
    return [
        EventsWriteService(owners, ingest, Deletion(store, directory), Rewinding(store, directory)),
        EventsScalarsService(
            owners,
            Charts(events, ChartLimits(settings.max_chart_series, settings.max_chart_points)),
            Latest(events),
            listing,
            pages,
            Vectors(store, settings.max_chart_points),
        ),
        EventsSeriesService(owners, SeriesCharts(events), ChartThumbnails(events)),
        EventsListingService(owners, listing, pages, TaskStorage(store)),
        EventsLogsService(
            owners, Logs(events, scrolls), LogSearch(events, scrolls, settings.search_seconds), LogDownload(store), LogOverviews(events)
        ),
        EventsImagesService(owners, Images(events, scrolls), navigation, ImageSamples(events, state, ttl), ImageIndex(events)),
        EventsPlotsService(owners, Plots(events, scrolls), navigation, PlotSamples(events, state, ttl)),
    ]
