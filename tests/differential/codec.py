"""How documents are read here: raw, and of any date: those beyond Python's years stay numbers."""

from __future__ import annotations

from typing import Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

ANY: CodecOptions = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
RAW: CodecOptions = ANY.with_options(document_class=RawBSONDocument, uuid_representation=UuidRepresentation.STANDARD)


def alone(value: Any) -> bytes:
    """A value as the document {"": value}."""
    return bson.encode({"": value}, codec_options=RAW)
