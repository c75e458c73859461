"""What an annotator's browser gets to see: texts and places, never where a response came from."""

from __future__ import annotations

from typing import Any

from candor.collect.markdown import to_html
from candor.projects.assignment import Task
from candor.projects.items import Item, answer_by_places
from candor.projects.pay import expected_minutes
from candor.projects.setup import Project
from candor.records import Message


def task_view(task: Task, project: Project, answered: int) -> dict[str, Any]:
    """A task by places. A gold item looks like any other; which arm it is, is not said."""
    item = task.item
    messages = item.hidden if task.arm == "hidden" and item.hidden is not None else item.prompt.messages
    return {
        "task_id": task.id,
        "fence": task.fence,
        "purpose": "calibration" if task.purpose == "calibration" else "main",
        "expires_at": task.expires_at,
        "prompt": [_message(message) for message in messages],
        "responses": [_response(place, item.responses[index].text) for place, index in enumerate(task.shown_order)],
        "answered": answered,
        "minutes": round(expected_minutes(item, project.settings), 2),
    }


def example(item: Item) -> dict[str, Any]:
    """A worked example: responses in the order in which they were written, the right answer and why."""
    assert item.gold is not None
    order = tuple(range(len(item.responses)))
    return {
        "prompt": [_message(message) for message in item.prompt.messages],
        "responses": [_response(place, response.text) for place, response in enumerate(item.responses)],
        "answer": answer_by_places(order, item.gold.answer),
        "why_html": to_html(item.gold.why),
    }


def _message(message: Message) -> dict[str, str]:
    return {"role": message.role, "html": to_html(message.content), "text": message.content}


def _response(place: int, text: str) -> dict[str, Any]:
    return {"place": place, "html": to_html(text), "text": text}
