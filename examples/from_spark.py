"""A hand-over from Spark and back: folders of Parquet files, no Spark on this side.

With the extra [spark], Spark's own workers answer (docs/scaling.md); this is for where they do not.

    python examples/from_spark.py clicks/ answers/

In Spark, before and after:

    events.select("visit", "sku", "at").write.parquet("clicks")  # part-*.parquet and _SUCCESS
    answers = spark.read.parquet("answers")  # session_id, rank, item_id, score
"""

import sys
from pathlib import Path

import gru4rec as g4r


def main(clicks: str, answers: str) -> None:
    # Spark writes _SUCCESS last: without it the folder is not whole.
    if not (Path(clicks) / "_SUCCESS").exists():
        sys.exit(f"{clicks} has no _SUCCESS: Spark has not finished writing it")
    log = g4r.read_clicks(clicks, session_col="visit", item_col="sku", time_col="at")
    recommender = g4r.GRU4Rec().fit(log)

    # A file for each piece, as Spark's own: memory holds one piece at a time.
    folder = Path(answers)
    folder.mkdir()
    for number, piece in enumerate(recommender.recommend_in_pieces(log, k=20)):
        piece.write_parquet(folder / f"part-{number:05}.parquet")
    (folder / "_SUCCESS").touch()


if __name__ == "__main__":
    main(*sys.argv[1:])
