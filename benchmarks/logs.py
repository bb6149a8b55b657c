"""The real logs that benchmarks measure on, and how each names its training and test part.

They lie in the folder that the environment variable GRU4REC_DATA names; without it, in
`shared/data` beside the checkout.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

DATA = Path(os.environ.get("GRU4REC_DATA", Path(__file__).parents[1].parent / "shared" / "data"))


@dataclass(frozen=True)
class Log:
    """A file with a `split` column, and the predicates of its parts."""

    file: str
    train_where: str
    test_where: str = "split = 'test'"

    @property
    def path(self) -> Path:
        """Where the file lies; ends the program with a line if it is not there."""
        path = DATA / self.file
        if not path.exists():
            sys.exit(f"{path} is not here: let GRU4REC_DATA name the folder of the real logs")
        return path


LOGS = {
    "yoochoose_100k": Log("yoochoose_100k.parquet", "split <> 'test'"),
    "yoochoose1_64": Log("yoochoose1_64.parquet", "split = 'train'"),
    "diginetica": Log("diginetica.parquet", "split = 'train'"),
    "jdata_demo": Log("jdata_demo.parquet", "split = 'train'"),
    "bolcom_serenade": Log("bolcom_serenade.parquet", "split <> 'test'"),
    # Three days of news, and the hour after them: news is old within hours.
    "globo": Log(
        "globo.parquet",
        "session_start >= 1507334400000 AND session_start < 1507593600000",
        "session_start >= 1507593600000 AND session_start < 1507597200000",
    ),
}
