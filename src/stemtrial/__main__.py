"""``python -m stemtrial``: the command line."""

from stemtrial.cli import main

if __name__ == "__main__":
    main()
