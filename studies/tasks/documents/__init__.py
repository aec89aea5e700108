"""Small handwritten documents with known contents: what the embedded models read.

Real handwritten digits (scikit-learn's bundled set) are laid out as rows of codes over crops of
real photographs. A quarter of the handwriting is held out for evaluation, by index.
"""

from saccade.studies.tasks.documents.lexicon import CODES
from saccade.studies.tasks.documents.page import Page, draw_page
from saccade.studies.tasks.documents.tasks import (
    EXAMPLES,
    KINDS,
    DocumentTask,
    PageQuestion,
    kind_of,
    make_sample,
)

__all__ = [
    "CODES",
    "EXAMPLES",
    "KINDS",
    "DocumentTask",
    "Page",
    "PageQuestion",
    "draw_page",
    "kind_of",
    "make_sample",
]
