"""events.*: debug images, in pages of iterations and one at a time."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.image_index import ImageIndex
from apiserver.bll.events.image_samples import ImageSamples
from apiserver.bll.events.images import Images
from apiserver.bll.events.metric_filter import metrics_filter, selections_by_task
from apiserver.bll.events.navigation import Navigation
from apiserver.service_repo import Call, Encoded, endpoint
from apiserver.services.event_owners import EventOwners, scroll_of
from apiserver.stores.records import IMAGE


class EventsImagesService:
    """Reads debug images."""

    def __init__(self, owners: EventOwners, images: Images, navigation: Navigation, samples: ImageSamples, index: ImageIndex) -> None:
        self._owners = owners
        self._images = images
        self._navigation = navigation
        self._samples = samples
        self._index = index

    @endpoint("events.get_image_index")
    def get_image_index(self, call: Call, request: dict[str, Any]) -> Encoded:
        owners = self._owners.several(call, request, request["tasks"])
        return Encoded(self._index.stops(owners, metrics_filter(request.get("metrics"))))

    @endpoint("events.get_debug_image_samples")
    def get_debug_image_samples(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        owners = self._owners.several(call, request, request["tasks"])
        return {"samples": self._index.at(owners, metrics_filter(request.get("metrics")), request.get("iteration"))}

    @endpoint("events.debug_images", min_version="2.7")
    def debug_images(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        selections = selections_by_task(request["metrics"])
        return self._navigation.page(
            self._owners.several(call, request, selections),
            scroll_of(call, request),
            IMAGE,
            selections,
            iters=request["iters"],
            earlier=request["navigate_earlier"],
            refresh=request["refresh"],
        )

    @endpoint("events.debug_images", min_version="1.8")
    def debug_images_of_iterations(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._images.of_last_iterations(
            self._owners.one(call, request),
            scroll_of(call, request),
            iters=request["iters"],
        )

    @endpoint("events.debug_images")
    def debug_images_of_variants(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._images.of_variants(
            self._owners.one(call, request),
            scroll_of(call, request),
            iters=request["iters"],
        )

    @endpoint("events.get_debug_image_sample", min_version="2.12")
    def get_debug_image_sample(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._samples.get(
            self._owners.one(call, request),
            scroll_of(call, request),
            request["metric"],
            request["variant"],
            iteration=request.get("iteration"),
            refresh=request["refresh"],
            navigate_current_metric=request["navigate_current_metric"],
        )

    @endpoint("events.next_debug_image_sample", min_version="2.12")
    def next_debug_image_sample(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._samples.next(
            self._owners.one(call, request),
            scroll_of(call, request),
            earlier=request["navigate_earlier"],
            next_iteration=request["next_iteration"],
        )
