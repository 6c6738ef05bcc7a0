"""An access log: a format, and the file its lines go to. Listeners have a list of them, or None."""

from tage.dataplane.telemetry.access_log.file import LogFile
from tage.dataplane.telemetry.access_log.format import Format


class AccessLog:
    """Several may share a file."""

    def __init__(self, format: Format, file: LogFile) -> None:
        self.format = format
        self.file = file

    def write(self, record):
        """Formats at once: the record may change afterwards."""
        self.file.write(self.format.render(record))
