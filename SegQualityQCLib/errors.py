"""The exceptions that bad input raises; each message is a sentence for the user."""


class SegQualityError(Exception):
    """Base of all errors that the user can act on: it says what is wrong, where, and what to do."""


class InputError(SegQualityError):
    """The image or the segmentation cannot be assessed as given."""


class EmptySegmentError(InputError):
    """Nothing is drawn in a segment."""


class OutsideImageError(InputError):
    """A segment and its image do not overlap in space."""


class BundleError(SegQualityError):
    """A model bundle is missing, damaged, of an unknown schema, or unsafe."""


class ReportError(SegQualityError):
    """A stored report cannot be read, or a report cannot be written."""


class WorklistError(SegQualityError):
    """A worklist cannot be opened, or does not allow what was asked."""
