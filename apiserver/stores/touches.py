"""The effect of a batch on its tasks and models, computed from the stored events, so that refused events have none."""

from __future__ import annotations

from apiserver.stores.batch import Event, EventBatch, LogLine, Touch


def touches_of(batch: EventBatch) -> dict[str, Touch]:
    """A touch for each task and model of the batch; the greatest iteration of those metrics that are not quiet raises its last_iteration."""
    touches: dict[str, Touch] = {}
    quiet = batch.quiet_metrics
    for key, points in batch.points.items():
        touch = touches.get(key.task)
        if touch is None:
            touch = touches[key.task] = Touch(is_model=points.model_event)
        if key.metric not in quiet:
            touch.raise_to(max(points.iters))
    lines: list[Event | LogLine] = [*batch.events, *batch.logs]
    for line in lines:
        touch = touches.get(line.task)
        if touch is None:
            touch = touches[line.task] = Touch(is_model=line.model_event)
        if line.iter is not None and line.metric not in quiet:
            touch.raise_to(line.iter)
    return touches
