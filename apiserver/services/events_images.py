"""events.*: debug images, in pages of iterations and one at a time."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.image_samples import ImageSamples
from apiserver.bll.events.images import Images
from apiserver.bll.events.navigation import Navigation
from apiserver.service_repo import Call, endpoint
from apiserver.stores.records import IMAGE


class EventsImagesService:
    """Shows debug images."""

    def __init__(self, images: Images, navigation: Navigation, samples: ImageSamples) -> None:
        self._images = images
        self._navigation = navigation
        self._samples = samples

    @endpoint("events.debug_images", min_version="2.7")
    def debug_images(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._navigation.page(
            call.company,
            IMAGE,
            request["metrics"],
            iters=request["iters"],
            earlier=request["navigate_earlier"],
            refresh=request["refresh"],
            scroll_id=request.get("scroll_id"),
            model_events=request["model_events"],
        )

    @endpoint("events.debug_images", min_version="1.8")
    def debug_images_of_iterations(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._images.of_last_iterations(
            call.company, request["task"], iters=request["iters"], scroll_id=request.get("scroll_id"), model_events=request["model_events"]
        )

    @endpoint("events.debug_images")
    def debug_images_of_variants(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._images.of_variants(
            call.company, request["task"], iters=request["iters"], scroll_id=request.get("scroll_id"), model_events=request["model_events"]
        )

    @endpoint("events.get_debug_image_sample", min_version="2.12")
    def get_debug_image_sample(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._samples.get(
            call.company,
            request["task"],
            request["metric"],
            request["variant"],
            iteration=request.get("iteration"),
            refresh=request["refresh"],
            navigate_current_metric=request["navigate_current_metric"],
            scroll_id=request.get("scroll_id"),
            model_events=request["model_events"],
        )

    @endpoint("events.next_debug_image_sample", min_version="2.12")
    def next_debug_image_sample(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._samples.next(
            call.company,
            request["task"],
            scroll_id=request.get("scroll_id"),
            earlier=request["navigate_earlier"],
            next_iteration=request["next_iteration"],
            model_events=request["model_events"],
        )
