"""`python -m fdref` is `fdref`."""

from fdref.commands import program

program()
