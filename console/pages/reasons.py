"""Why an object is not billed, in sentences, from what its page shows; and where to go about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from console.asking import Ask
from console.languages import noted


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason, and the page that helps."""

    sentence: str
    path: str | None = None
    label: str = ""


def why_not_billed(ask: Ask, seen: Mapping[str, Any]) -> list[Reason]:
    """The reasons for which nothing, or less than expected, is billed for the object; none when all is well."""
    return list(_reasons(ask, seen))


def _reasons(ask: Ask, seen: Mapping[str, Any]) -> Iterator[Reason]:
    it = seen["it"]
    running = [item for item in seen["items"] if item.status == "running"]
    activate = f"/activate?reference={quote(it.reference, safe='')}"
    if it.status in {"draft", "pending"}:
        yield Reason(
            sentence=ask.say(noted("It was never activated, or its term has ended: it has no running contract item.")),
            path=activate,
            label=ask.say(noted("Activate it")),
        )
    elif it.status == "suspended":
        yield Reason(sentence=ask.say(noted("It is suspended: the days of the suspension are not charged.")))
    elif it.status == "terminated":
        yield Reason(sentence=ask.say(noted("It is terminated: nothing is charged after its last day.")))
    for message in seen["refused"][:1]:
        yield Reason(
            sentence=ask.say(noted("Messages of it were refused and wait in quarantine: they are not usage yet.")),
            path=f"/quarantine/{message.id}",
            label=ask.say(noted("See the last one")),
        )
    if (
        running
        and not seen["metrics"]
        and any(schedule.metric_id is not None for item in running for schedule in seen["schedules"][item.id])
    ):
        yield Reason(sentence=ask.say(noted("It has a charge on usage, but has sent no usage so far.")))
    begins = min((item.starts_on for item in running), default=None)
    if begins is not None and begins > ask.now.astimezone(ask.zone).date():
        yield Reason(
            sentence=ask.say(
                noted("Its service begins on %(day)s: nothing is charged before."), day=ask.language.day(begins)
            )
        )
    measured = {schedule.metric_id for item in running for schedule in seen["schedules"][item.id]}
    for metric in seen["metrics"] if running else ():
        if metric.id not in measured:
            yield Reason(
                sentence=ask.say(
                    noted("No charge of its plan measures %(metric)s: what it sends of it is not billed."),
                    metric=metric.name,
                )
            )
    if running and seen["presence"] is not None and seen["presence"].online is False:
        yield Reason(sentence=ask.say(noted("It is offline.")))
