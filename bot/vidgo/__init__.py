"""Client of the VidGo music API (https://docs.vidgo.ai): requests, tolerant results, typed errors."""

from bot.vidgo.answers import Question
from bot.vidgo.client import Seen, Turn, VidGo
from bot.vidgo.errors import (
    AnswerLost,
    Busy,
    ContentRefused,
    Duplicate,
    InvalidRequest,
    KeyRefused,
    NoCredits,
    Nonsense,
    SourceNotReady,
    UnknownTask,
    VersionRefused,
    VidGoError,
)
from bot.vidgo.requests import MODELS, CoverArt, CoverAudio, ExtendMusic, GenerateMusic, SubmitRequest, load_request
from bot.vidgo.results import Accepted, Report, ResultFile, Status, parse_callback
from bot.vidgo.signature import verify_signature

__all__ = [
    "MODELS",
    "Accepted",
    "AnswerLost",
    "Busy",
    "ContentRefused",
    "CoverArt",
    "CoverAudio",
    "Duplicate",
    "ExtendMusic",
    "GenerateMusic",
    "InvalidRequest",
    "KeyRefused",
    "NoCredits",
    "Nonsense",
    "Question",
    "Report",
    "ResultFile",
    "Seen",
    "SourceNotReady",
    "Status",
    "SubmitRequest",
    "Turn",
    "UnknownTask",
    "VersionRefused",
    "VidGo",
    "VidGoError",
    "load_request",
    "parse_callback",
    "verify_signature",
]
