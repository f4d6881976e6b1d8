"""How effects are logged: not at all, as key=value lines, or as Cloud Logging's JSON; on stderr."""

from __future__ import annotations

import json
import logging
import sys

from ingest.choices import LogFormat

_SEVERITIES = {"WARNING": "WARNING", "INFO": "INFO", "ERROR": "ERROR"}


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "severity": _SEVERITIES.get(record.levelname, "DEFAULT"),
            "message": record.getMessage(),
            "time": f"{record.created:.6f}",
            **getattr(record, "effect", {}),
        }
        seconds, _, fraction = str(fields.pop("time")).partition(".")
        fields["timestampSeconds"] = int(seconds)
        fields["timestampNanos"] = int(fraction) * 1000
        return json.dumps(fields, ensure_ascii=False)


class _KeyValueLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "effect", {})
        return " ".join(
            [record.levelname.lower(), *(f"{key}={value}" for key, value in fields.items())]
        )


class _MarkedAsDry(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.effect = {**getattr(record, "effect", {}), "dry_run": True}
        return True


def configure_logging(log_format: LogFormat, *, is_dry_run: bool = False) -> None:
    """Make the effects' logger write in this format; lines of a dry run say that they are.

    A dry run is the real flow without effects, so it logs each effect that it would have.
    """
    logger = logging.getLogger("ingest.effects")
    logger.handlers.clear()
    logger.propagate = False
    if log_format is LogFormat.NONE:
        logger.setLevel(logging.CRITICAL)
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if log_format is LogFormat.JSON else _KeyValueLines())
    if is_dry_run:
        handler.addFilter(_MarkedAsDry())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
