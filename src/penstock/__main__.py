"""`python -m penstock`: the `penstock` command where the script is not on the path, as in a child process."""

from penstock.cli.main import main

main()
