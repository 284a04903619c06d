"Tables, figures, claims and pages from tidy rows."
from .reading import read_rows  # noqa: F401
