"""Words whose full stop may belong to themselves and not to the sentence."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Something always follows, mostly a name; only a long pause parts them.
LEAN_ON_THE_NEXT = _words(
    # English
    "Dr Mr Mrs Ms Messrs Prof St Mt Ft Gen Sen Rep Gov Capt Lt Col Sgt Maj Cpl Cmdr Rev Hon Pres "
    "Supt e.g i.e vs approx cf "
    # German
    "Hr Fr Dipl Ing z.B d.h u.a i.d.R ca bzw evtl ggf inkl sog vgl Mio Mrd "
    # Spanish, Portuguese
    "Sr Sra Srta Sres Dra Dña Ud Uds Sto Sta p.ej Exmo Exma "
    # French, Italian, Dutch, Polish, Czech
    "Mme Mmes Mlle MM Sig sig Sig.ra Dott Dott.ssa Avv Egr dhr mevr bijv np např tzv"
)
# What follows is a number, or it is a word like any other: "No. 5", "No."
BEFORE_NUMBERS = _words(
    "no nos nr núm num n.º nº vol ch sec fig art pp pg cap kap abs bd ziff tel ext op "
    "jan feb apr aug sept sep oct okt nov dec dez"
)
# Also where a sentence ends: what follows decides.
ANYWHERE = _words("etc usw Inc Ltd Co Corp Jr Bros Ave Blvd Rd ecc")
DOTTED = re.compile(r"[^\W\d_]{1,2}(?:\.[^\W\d_]{1,2})+")
# In any language with Latin letters: "np.", "tzv.", "blvd."; words without a vowel are rare.
ABBREVIATED = re.compile(r"[b-df-hj-np-tv-xz]{2,5}", re.IGNORECASE)
ORDINAL = re.compile(r"\d{1,3}")


def leans_on_next(word: str) -> bool:
    """Whether something follows a word in its sentence, as after "vs.", "Dr." and "e.g."."""
    stem = word.strip(" \"'“‘«(¿¡").removesuffix(".")
    return stem in LEAN_ON_THE_NEXT
