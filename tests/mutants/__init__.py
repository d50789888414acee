"""For each sentence of SPECIFICATION.md what breaks it alone, and the cases that find that.

A row is the beginning of a sentence, and one of two things: pairs of a mutant and the IDs of cases
that it fails, or in words why nobody can break it. Mutants are fdref with one thing wrong.
"""

from mutants import decoding, forward, graphs, judging, occluding, projecting, refusing, unpooling
from mutants.pages import ABOUT

TABLE = {
    **ABOUT,
    **forward.SENTENCES,
    **decoding.SENTENCES,
    **projecting.SENTENCES,
    **unpooling.SENTENCES,
    **judging.SENTENCES,
    **refusing.SENTENCES,
    **graphs.SENTENCES,
    **occluding.SENTENCES,
}
