"Tables, figures, claims and pages from tidy rows."
from ..extras import needs

needs("report", "pandas", "matplotlib", "seaborn", "scipy", "yaml", by="gwi.report")
from .reading import read_rows  # noqa: F401
