"""What happens at the site, as log lines: for who has no screen but journalctl."""

from __future__ import annotations

import logging

from evcore.model import Event, Health
from evcore.ports import Hub

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_HEALTH = {"down": logging.WARNING, "degraded": logging.WARNING}
_log = logging.getLogger("evcore.site")


async def keep_journal(hub: Hub) -> None:
    """Log every event, and every change of a part's health, until cancelled."""
    feed = hub.subscribe(Event, Health)
    shown: dict[str, tuple[str, str]] = {}
    dropped = 0
    try:
        async for item in feed:
            if isinstance(item, Event):
                place = f"{item.source}/{item.evse}" if item.evse else item.source
                session = f" session {item.session}" if item.session else ""
                _log.log(_LEVELS[item.severity], "%s %s%s %s", item.kind, place, session, item.text)
            elif isinstance(item, Health) and shown.get(item.connector) != (item.state, item.detail):
                shown[item.connector] = (item.state, item.detail)
                _log.log(_HEALTH.get(item.state, logging.INFO), "%s is %s %s", item.connector, item.state, item.detail)
            if feed.dropped != dropped:
                _log.warning("%d events were too many for the log", feed.dropped - dropped)
                dropped = feed.dropped
    finally:
        feed.close()
