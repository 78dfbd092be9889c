"""Days, as people write them, and the moments that they begin and end at in this building's time zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone

from firmware_config.errors import BadInput


def day(text: str) -> date | None:
    """2026-03-31 -> a date; "" -> None. A time after it is left out. Raises BadInput."""
    tidy = text.strip()[:10]
    if not tidy:
        return None
    try:
        found = date.fromisoformat(tidy)
        first_moment(found)
        last_moment(found)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{text.strip()[:40]!r} is no day. Write it as 2026-03-31: year, month, day.") from error
    return found


def first_moment(of: date | None) -> datetime | None:
    """Aware, UTC: midnight, as the clock of this machine has it."""
    return _midnight(of) if of is not None else None


def last_moment(of: date | None) -> datetime | None:
    """Aware, UTC: the midnight that ends the day, so that the day itself is good."""
    return _midnight(of + timedelta(days=1)) if of is not None else None


def first_day(moment: datetime | None) -> str:
    """The inverse of first_moment, as text; "" for None."""
    return moment.astimezone().date().isoformat() if moment is not None else ""


def last_day(moment: datetime | None) -> str:
    """The inverse of last_moment, as text; "" for None."""
    return (moment - timedelta(microseconds=1)).astimezone().date().isoformat() if moment is not None else ""


def _midnight(of: date) -> datetime:
    return datetime.combine(of, time.min).astimezone(timezone.utc)
