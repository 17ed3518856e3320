"""`python -m fls_cli` is `fls`."""

from fls_cli.app import main

main()
