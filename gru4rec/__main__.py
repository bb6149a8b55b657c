"""`python -m gru4rec` is `gru4rec`."""

from gru4rec.cli import main

if __name__ == "__main__":
    main(prog_name="gru4rec")
